# Adds up the records of every step and prints the closing lines: what failed, what was skipped for want of what, and last of
# all `N passed, N failed, N skipped`. Exit status: 1 if anything failed.
#
# A test that was skipped in one place and run in another was run. Variable: strict, 1 where a test that needs rxe must not
# be skipped (CI); rxe, a regular expression of such tests' keys.

BEGIN { FS = "\t" }

$1 == "pass" { passed++; ran[$3] = 1 }

$1 == "fail" {
  ran[$3] = 1
  failures[failed++] = $3 " (" $2 "): " $4
}

$1 == "skip" {
  if (!($3 in reasons)) order[skips++] = $3
  reasons[$3] = $4
  if ($2 == "rxe" || $3 ~ rxe) needsRxe[$3] = 1
}

END {
  for (i = 0; i < skips; i++) {
    key = order[i]
    if (key in ran) continue
    if (strict && (key in needsRxe)) {
      failures[failed++] = key ": skipped, which CI does not allow of a test that needs rxe: " reasons[key]
    } else {
      skipped++
      if (!(reasons[key] in count)) kinds[kindCount++] = reasons[key]
      count[reasons[key]]++
      if (!(reasons[key] in first)) first[reasons[key]] = key
    }
  }
  for (i = 0; i < failed; i++) print "failed: " failures[i]
  for (i = 0; i < kindCount; i++) {
    others = count[kinds[i]] > 1 ? " and " count[kinds[i]] - 1 " more" : ""
    print "skipped: " first[kinds[i]] others ": " kinds[i]
  }
  print passed + 0 " passed, " failed + 0 " failed, " skipped + 0 " skipped"
  exit failed > 0
}
