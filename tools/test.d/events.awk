# Reads Swift Testing's event stream (one JSON object a line) and prints what became of each test:
#
#     OUTCOME <tab> PLACE <tab> KEY <tab> REASON        OUTCOME is pass, fail or skip
#
# Variable: place. A test that began and never ended (the process crashed or was stopped) has failed. A test of which
# some cases were cancelled counts as skipped: what was not run must not hide behind what was.

# The string value of a member in this line, still escaped. Inside a string value, quotes are escaped, so that a member's
# name with its quotes cannot be met there.
function member(name,    start, rest) {
  if (!match($0, "\"" name "\":\"([^\"\\\\]|\\\\.)*\"")) return ""
  start = RSTART + length(name) + 4
  rest = substr($0, start, RLENGTH - length(name) - 5)
  return rest
}

function plain(text) {
  gsub(/\\\//, "/", text)
  gsub(/\\"/, "\"", text)
  gsub(/\\[nt]/, " ", text)
  gsub(/\t/, " ", text)
  return text
}

# What stands in quotes after `skipped: ` or after `seconds: `.
function reason(text) {
  text = plain(text)
  if (!sub(/^.*(skipped|seconds): "/, "", text)) return "no reason given"
  sub(/"$/, "", text)
  return text
}

function record(outcome, key, why) { print outcome "\t" place "\t" key "\t" why }

/"kind":"test",/ || /"kind":"test"}/ {
  id = plain(member("id"))
  if (/"kind":"function"/) isFunction[id] = 1
  next
}

{ id = plain(member("testID")) }

id == "" || !(id in isFunction) { next }

/"kind":"testStarted"/ { running[id] = 1 }

/"kind":"testCaseCancelled"/ { cancelled[id]++ }

/"kind":"testSkipped"/ { record("skip", id, reason(member("text"))) }

/"kind":"testEnded"/ {
  delete running[id]
  symbol = member("symbol")
  if (symbol == "fail") record("fail", id, "see the log")
  else if (symbol == "skip") record("skip", id, reason(member("text")))
  else if (id in cancelled) record("skip", id, cancelled[id] " of its cases were cancelled")
  else record("pass", id, "")
}

END {
  for (id in running) record("fail", id, "it began and did not end")
}
