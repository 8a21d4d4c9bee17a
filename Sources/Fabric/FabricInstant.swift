/// A point on a fabric's own clock, in nanoseconds since its unspecified beginning.
public struct FabricInstant: Comparable, Sendable, Hashable {
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    public static let distantFuture = FabricInstant(nanoseconds: .max)

    public static func < (left: FabricInstant, right: FabricInstant) -> Bool { left.nanoseconds < right.nanoseconds }

    /// Saturates at `distantFuture`.
    public func advanced(milliseconds: UInt64) -> FabricInstant {
        let (product, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, carry) = nanoseconds.addingReportingOverflow(product)
        return overflow || carry ? .distantFuture : FabricInstant(nanoseconds: sum)
    }

    /// Nanoseconds since `earlier`, 0 where that is later.
    public func since(_ earlier: FabricInstant) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
    }
}
