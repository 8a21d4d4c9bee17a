# For shell tests to source: they say what became of each check in the words that tools/test counts (TAP).
#
#     check NAME COMMAND...   ok if COMMAND succeeds; what it printed is shown only otherwise
#     expect NAME WANT GOT    ok if the two texts are equal
#     skip NAME REASON        REASON names the capability that is missing
#     finish                  at the very end: exit status 1 if a check failed, or if there was none

tap_checks=0 tap_failures=0

tap_result() {
  tap_checks=$((tap_checks + 1))
  if [[ $1 == ok ]]; then
    echo "ok $2"
  else
    tap_failures=$((tap_failures + 1))
    echo "not ok $2"
    printf '%s\n' "$3" | sed 's/^/# /'
  fi
}

check() {
  local name=$1 output status=0
  shift
  output=$("$@" 2>&1 </dev/null) || status=$?
  if ((status == 0)); then tap_result ok "$name"; else tap_result failed "$name" "$output"$'\n'"exit status $status: $*"; fi
}

expect() {
  if [[ $2 == "$3" ]]; then tap_result ok "$1"; else tap_result failed "$1" "wanted: $2"$'\n'"got:    $3"; fi
}

skip() {
  tap_checks=$((tap_checks + 1))
  echo "ok $1 # SKIP $2"
}

finish() {
  ((tap_checks > 0)) || { echo 'not ok there was no check'; exit 1; }
  exit $((tap_failures > 0))
}
