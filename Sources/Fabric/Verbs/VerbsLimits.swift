internal import Verbs

/// What devices take, as far as they do not say it themselves.
struct VerbsLimits: Sendable, Equatable {
    var messageByteLimit = VerbsFabric.messageByteLimit
    var pieces = RegistrationPieces()
    /// What a completion queue is made for, instead of all that can complete.
    var completionsPerQueue: Int?
}
