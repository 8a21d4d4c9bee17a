/// A world of one: the result is the rank's own part.
public struct Alone: Equatable, Sendable {
    let shape: Shape

    init(_ shape: Shape) { self.shape = shape }

    public var count: Int { shape.collective == .barrier || shape.copyOwn(from: 0, to: 0) == nil ? 0 : 1 }

    public subscript(index: Int) -> Step { Step(action: shape.copyOwn(from: 0, to: 0)) }
}
