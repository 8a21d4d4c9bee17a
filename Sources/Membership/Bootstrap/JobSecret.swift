/// What the processes of one job know and a stranger does not. Never printed: its description hides it.
public struct JobSecret: Sendable, Equatable, CustomStringConvertible, CustomReflectable, ExpressibleByStringLiteral {
    /// The secret itself, as it goes into `VERBENA_SECRET` of a child process.
    public let text: String
    /// Made of job ids that others can guess: it keeps jobs from meeting by accident, not an attacker out.
    public let isDerived: Bool

    public init(_ text: String) {
        self.text = text
        self.isDerived = false
    }

    public init(stringLiteral text: String) { self.init(text) }

    private init(derivedFrom text: String) {
        self.text = text
        self.isDerived = true
    }

    /// A secret of 256 bits from the system's generator, for a launcher that starts the ranks itself.
    public static func random() -> JobSecret {
        // Each byte as two digits: those of 0x100 and more without the first.
        JobSecret(Handshake.nonce().map { String(0x100 + Int($0), radix: 16).dropFirst() }.joined())
    }

    /// The stand-in where no secret is set.
    static func derived(fromJobIdentifiers identifiers: [String]) -> JobSecret {
        JobSecret(derivedFrom: (["verbena job"] + identifiers).joined(separator: "\n"))
    }

    public var description: String { isDerived ? "(derived secret)" : "(secret)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
