/// Which gather: those of one group are counted by themselves. The group of all ranks has the empty name.
struct GatherID: Codable, Sendable, Hashable {
    var group = ""
    var sequence: Int
}
