/// How a trainer broke the rules of a step.
public enum GradientError: Error, Sendable, Equatable, CustomStringConvertible {
    case unknownParameter(index: Int, count: Int)
    case announcedTwice(name: String)
    case notAnnounced(names: [String])
    case notUnderWay(name: String, missing: [String])
    case notWaitedFor(names: [String])
    case insideStep(what: String)

    public var description: String {
        switch self {
        case .unknownParameter(let index, let count):
            "gradient \(index) does not exist; the exchange was made for parameters 0 to \(count - 1)"
        case .announcedTwice(let name):
            "the gradient of '\(name)' was announced twice in one step; call synchronize() between backward passes, "
                + "or accumulate in withoutSynchronization"
        case .notAnnounced(let names):
            "no gradient was announced for \(Self.list(names)); announce every parameter in each step, those that took no part by "
                + "gradientUnused, or set allowsUnused"
        case .notUnderWay(let name, let missing):
            "the gradient of '\(name)' does not travel yet: none was announced for \(Self.list(missing)); announce them first, or call endBackward()"
        case .notWaitedFor(let names):
            "a gradient of the next step was announced before \(Self.list(names)) of this one was waited for; "
                + "call wait(for:) for every parameter, or synchronize(), before the next backward pass"
        case .insideStep(let what):
            "\(what) was called inside a step, when gradients of it were announced already; call it before the first announcement"
        }
    }

    private static func list(_ names: [String]) -> String {
        names.prefix(4).map { "'\($0)'" }.joined(separator: ", ") + (names.count > 4 ? " and \(names.count - 4) more" : "")
    }
}
