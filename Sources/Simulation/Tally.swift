/// What a scenario took.
struct Tally {
    var operations = 0
    var failures = 0
    var events = 0
    var virtualNanoseconds: UInt64 = 0
    var fingerprint: UInt64 = 0
}
