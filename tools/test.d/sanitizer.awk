# Reads the log of tests under a sanitizer and prints a record of a failure for each thing that it reported, as events.awk does:
# what and where, by its summary. Variables: place; root, the folder that files are named from.

/^SUMMARY: [A-Za-z]*Sanitizer: / {
  sub(/^SUMMARY: [A-Za-z]*Sanitizer: /, "")
  gsub(/\t/, " ")
  if (at = index($0, root)) $0 = substr($0, 1, at - 1) substr($0, at + length(root))
  if (!($0 in told)) print "fail\t" place "\t" $0 "\tsee the log"
  told[$0] = 1
}
