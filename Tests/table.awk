# Reads what rdma-allreduce prints and prints the sizes, in order, if the table is as nccl-tests would print it and all
# elements were right; otherwise everything that is not. Variables: ranks, type, operation.

function wrong(what) { problem = problem what "\n" }

# Whether two printed figures agree; the columns have two decimals.
function near(a, b) { return a - b < 0.012 + 0.01 * b && b - a < 0.012 + 0.01 * b }

# Columns from `first`: time, algbw, busbw, #wrong.
function sample(first,    time, algorithm, bus) {
  time = $first
  algorithm = $(first + 1)
  bus = $(first + 2)
  if (time !~ /^[0-9]+(\.[0-9]+)?$/ || time <= 0) wrong("time in line " NR ": " time)
  else if (time >= 1 && !near(algorithm, $1 / time / 1000)) wrong("algbw in line " NR)
  if (!near(bus, algorithm * 2 * (ranks - 1) / ranks)) wrong("busbw in line " NR)
  if ($(first + 3) != "0") wrong("#wrong in line " NR ": " $(first + 3))
  sum += bus
  samples++
}

BEGIN { elementBytes = type == "double" ? 8 : 4 }

/^# +size +count +type +redop +root +time +algbw +busbw +#wrong +time +algbw +busbw +#wrong *$/ { columns++ }

/^# +\(B\) +\(elements\) +\(us\) +\(GB\/s\) +\(GB\/s\) +\(us\) +\(GB\/s\) +\(GB\/s\) *$/ { units++ }

/^# Out of bounds values : 0 OK$/ { bounds++ }

/^# Avg bus bandwidth +: / { average = $NF }

/^#/ { next }

NF != 13 { wrong("line " NR " has " NF " columns, not 13"); next }

{
  if (columns != 1 || units != 1) wrong("no header before line " NR)
  if ($2 * elementBytes != $1) wrong("count in line " NR)
  if ($3 != type || $4 != operation || $5 != -1) wrong("type, redop or root in line " NR)
  sample(6)
  sample(10)
  sizes = sizes (sizes == "" ? "" : " ") $1
}

END {
  if (bounds != 1) wrong("no line that says: Out of bounds values : 0 OK")
  if (samples && !near(average, sum / samples)) wrong("Avg bus bandwidth is " average ", the columns' is " sum / samples)
  printf "%s", problem == "" ? sizes "\n" : problem
}
