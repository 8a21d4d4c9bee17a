import Verbs

/// One device of a rank as its peers see it.
struct RouteEnd: Equatable {
    /// What every port of RDMA over Ethernet carries.
    static let minMTU = 256

    /// A place where it listens, and how many bits of the address it has in common with those that need no router.
    struct Place: Equatable {
        var address: SocketAddress
        var prefixLength: Int

        var subnet: Subnet { Subnet(address: address.address, prefixLength: prefixLength) }
    }

    /// In bytes: how much one packet carries.
    var mtu: Int
    /// One or more, the preferred first.
    var places: [Place]

    /// The ways to a peer's device, the best first: those without a router, then the others between addresses of one family; each in our
    /// order, then in theirs. Empty where the two have no family in common.
    func routes(to other: RouteEnd) -> [Route] {
        let all = places.flatMap { from in
            other.places.filter { $0.address.address.isVersion4 == from.address.address.isVersion4 }
                .map { (isNear: from.subnet.contains($0.address.address), Route(source: from.address.address, destination: $0.address)) }
        }
        return all.filter(\.isNear).map(\.1) + all.filter { !$0.isNear }.map(\.1)
    }
}

/// A way from an address of ours to where a peer listens.
struct Route: Equatable, CustomStringConvertible {
    var source: InternetAddress
    var destination: SocketAddress

    var description: String { "\(source) to \(destination)" }
}
