/// Who this rank says it is, and to whom.
struct ClientIdentity: Sendable {
    var rank: Int
    var worldSize: Int
    var host: String
    var port: Int
    var version: String
    var handshake: Handshake
}
