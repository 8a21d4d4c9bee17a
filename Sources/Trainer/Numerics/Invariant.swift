/// Traps with `message` where `condition` is false, in every build: a broken invariant is a programmer's error.
/// `precondition` would lose its message at -O.
@inline(__always)
func invariant(_ condition: Bool, _ message: @autoclosure () -> String, file: StaticString = #file, line: UInt = #line) {
    if !condition { fatalError(message(), file: file, line: line) }
}
