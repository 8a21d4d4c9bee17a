import Testing

@testable import HouseStyle

/// docs/API.md says what the sources say.
@Suite struct PublicFaceTests {
    private static let types = SourceFile(
        path: "Sources/Verbena/Thing.swift",
        """
        public import Collectives

        public typealias Kind = Collectives.Kind

        /// A thing. It has more to say.
        ///
        /// - Note: not shown.
        public final class Thing<E>: Sendable {
            /// How many there are: of "{" and `(`.
            public let count: Int  // of it
            let hidden = 1
            @usableFromInline var seen = 2
            /// A default that is text.
            public var name = "a { b"

            /// Goes on over
            /// two lines.
            @discardableResult
            public func join(
                _ other: Thing<E>, in place: [Int: (Int, Int)] = [:]
            ) throws(Failure)
                -> Int
            {
                switch count {
                case 1: return 2
                default: return 3
                }
            }

            public enum State: String { case one, two }
            public enum Cause {
                /// The first.
                case first(Int)
            }
            public var description: String { "" }
        }
        """)
    private static let other = SourceFile(
        path: "Sources/Verbena/Thing+Other.swift", "extension Thing {\n    public func leave() {}\n    package func stay() {}\n}\n")
    private static let below = SourceFile(
        path: "Sources/Collectives/Kind.swift", "/// Which.\npublic enum Kind { case a }\npublic struct Other {}\n")
    private static let outside = SourceFile(path: "Sources/Trainer/Model.swift", "extension Kind { public func train() {} }\n")
    private static let face = PublicFace([types, other, below, outside])

    private func page(_ text: String) -> SourceFile { SourceFile(path: PublicFace.page, text) }

    @Test func aLineForEachMember() {
        let text = Self.face.rendered(
            page("# Title\n<!-- type: Thing -->\nold\n<!-- end -->\n<!-- type: Thing in Thing+Other.swift -->\n<!-- end -->\nThe end.\n"))
        #expect(
            text == """
                # Title
                <!-- type: Thing -->
                `final class Thing<E>: Sendable`: A thing.

                - `let count: Int`: How many there are: of "{" and `(`.
                - `var name = "a { b"`: A default that is text.
                - `func join(_ other: Thing<E>, in place: [Int: (Int, Int)] = [:]) throws(Failure) -> Int`: Goes on over two lines.
                - `enum State: String`
                - `enum Cause`
                  - `case first(Int)`: The first.
                <!-- end -->
                <!-- type: Thing in Thing+Other.swift -->
                - `func leave()`
                <!-- end -->
                The end.

                """)
    }

    @Test func whatThePageLacksIsFound() {
        let empty = page("<!-- type: Thing -->\n<!-- end -->\n<!-- type: Other -->\n<!-- end -->\n")
        let problems = Self.face.findings(in: empty).map(\.problem)
        #expect(problems.count == 3 && problems[0].contains("Kind is not shown") && problems[1].contains("Other is no type"))
        let right = page(Self.face.rendered(page("<!-- type: Thing -->\n<!-- end -->\n<!-- type: Kind -->\n<!-- end -->\n")))
        #expect(Self.face.findings(in: right).isEmpty)
        for wrong in [Array(right.lines.dropLast()), right.lines + [right.lines[0]]] {
            #expect(!Self.face.findings(in: page(wrong.map { $0.raw + "\n" }.joined())).isEmpty)
        }
    }
}
