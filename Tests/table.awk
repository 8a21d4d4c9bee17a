# Reads what rdma-allreduce prints, as a script written for nccl-tests would, and prints the sizes, in order, if all columns agree with each
# other and all elements were right; otherwise everything that is not. Where a run has several types, reductions or roots, it prints how
# many of them, `x`, and the sizes that each of them had.
#
# Variables: ranks; collective (allreduce); type, operation and root: as given to the program, `all` among them (root 0).

function wrong(what) { problem = problem what "\n" }

# Whether two printed figures agree; the columns have two decimals.
function near(a, b) { return a - b < 0.012 + 0.01 * b && b - a < 0.012 + 0.01 * b }

# Columns from `first`: time, algbw, busbw, #wrong.
function sample(first,    time, algorithm, bus) {
  time = $first
  algorithm = $(first + 1)
  bus = $(first + 2)
  if (time !~ /^[0-9]+(\.[0-9]+)?$/) wrong("time in line " NR ": " time)
  else if (time >= 1 && !near(algorithm, $1 / time / 1000)) wrong("algbw in line " NR)
  if (!near(bus, algorithm * factor)) wrong("busbw in line " NR)
  if ($(first + 3) != "0") wrong("#wrong in line " NR ": " $(first + 3))
  sum += bus
  samples++
}

BEGIN {
  if (collective == "") collective = "allreduce"
  if (root == "") root = 0
  split("int8 1 uint8 1 half 2 bfloat16 2 int16 2 uint16 2 float 4 int32 4 uint32 4 double 8 int64 8 uint64 8 none 0", pairs, " ")
  for (i = 1; i in pairs; i += 2) elementBytes[pairs[i]] = pairs[i + 1]
  reduces = collective ~ /^(allreduce|reduce_scatter|reduce)$/
  rooted = collective ~ /^(broadcast|reduce|gather|scatter)$/
  blocked = collective ~ /^(reduce_scatter|allgather|alltoall|gather|scatter)$/
  blocks = blocked ? ranks : 1
  factor = collective == "allreduce" ? 2 * (ranks - 1) / ranks : blocked ? (ranks - 1) / ranks : 1
  if (collective == "barrier") type = "none"
}

/^# +size +count +type +redop +root +time +algbw +busbw +#wrong +time +algbw +busbw +#wrong *$/ { columns++ }

/^# +\(B\) +\(elements\) +\(us\) +\(GB\/s\) +\(GB\/s\) +\(us\) +\(GB\/s\) +\(GB\/s\) *$/ { units++ }

/^# Out of bounds values : 0 OK$/ { bounds++ }

/^# Avg bus bandwidth +: / { average = $NF }

/^#/ { next }

NF != 13 { wrong("line " NR " has " NF " columns, not 13"); next }

{
  if (columns != 1 || units != 1) wrong("no header before line " NR)
  if (!($3 in elementBytes) || $2 * elementBytes[$3] * blocks != $1) wrong("count in line " NR)
  if (type != "all" && $3 != type) wrong("type in line " NR)
  if (reduces ? operation != "all" && $4 != operation : $4 != "none") wrong("redop in line " NR)
  if (rooted ? root != "all" && $5 != root || $5 < 0 || $5 >= ranks : $5 != -1) wrong("root in line " NR)
  sample(6)
  sample(10)
  group = $3 " " $4 " " $5
  if (!(group in sizes)) groups++
  sizes[group] = sizes[group] (group in sizes && sizes[group] != "" ? " " : "") $1
}

END {
  if (bounds != 1) wrong("no line that says: Out of bounds values : 0 OK")
  if (samples && !near(average, sum / samples)) wrong("Avg bus bandwidth is " average ", the columns' is " sum / samples)
  for (group in sizes) {
    if (same != "" && sizes[group] != same) wrong("other sizes for " group ": " sizes[group])
    same = sizes[group]
  }
  printf "%s", problem == "" ? (groups > 1 ? groups " x " : "") same "\n" : problem
}
