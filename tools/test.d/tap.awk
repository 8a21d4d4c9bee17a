# Reads what a shell test printed and prints records as events.awk does. Variables: place, name (the script's path) and
# status (its exit status).
#
# A script speaks TAP: `ok NAME`, `not ok NAME`, `ok NAME # SKIP REASON`; other lines are for people. One that says nothing
# of the kind may close with a line `N passed, N failed, N skipped`, the line before it being the reason of the skips; else it
# is one test, judged by its exit status, where 77 is a skip with the last line as its reason. A script that fails without
# having said so has failed nevertheless.

function record(outcome, key, why) {
  gsub(/\t/, " ", key)
  gsub(/\t/, " ", why)
  print outcome "\t" place "\t" name ": " key "\t" why
  told++
  if (outcome == "fail") failed++
}

{ sub(/\r$/, "") }

/^ok([ \t]|$)/ {
  key = $0
  sub(/^ok[ \t]*[0-9]*[ \t]*(- )?/, "", key)
  if (match(key, /[ \t]*# SKIP[ \t]*/)) record("skip", substr(key, 1, RSTART - 1), substr(key, RSTART + RLENGTH))
  else record("pass", key, "")
  next
}

/^not ok([ \t]|$)/ {
  key = $0
  sub(/^not ok[ \t]*[0-9]*[ \t]*(- )?/, "", key)
  record("fail", key, "see the log")
  next
}

/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ {
  split($0, counts, /[ ,]+/)
  why = last
  next
}

/[^ \t]/ { last = $0 }

END {
  if (!told && 1 in counts) {
    for (i = 1; i <= counts[1]; i++) record("pass", "check " i, "")
    for (i = 1; i <= counts[3]; i++) record("fail", "failed check " i, "see the log")
    for (i = 1; i <= counts[5]; i++) record("skip", "skipped check " i, why == "" ? "no reason given" : why)
    if (status == 77) exit
  }
  if (status == 77) record("skip", "all of it", last == "" ? "no reason given" : last)
  else if (status == 124 || status == 137) record("fail", "all of it", "it did not end within its time")
  else if (status != 0 && !failed) record("fail", "all of it", "exit status " status)
  else if (!told) record("pass", "all of it", "")
}
