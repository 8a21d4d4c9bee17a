/// Which gather: those of one group are counted by themselves. The group of all ranks has the empty name.
package struct GatherID: Codable, Sendable, Hashable {
    package var group = ""
    package var sequence: Int
}
