import Reduction
import Testing

/// What is on the wire or printed, and must not change by accident.
@Suite struct ElementTypeTests {
    @Test func rawValuesAndNamesAreFixed() {
        let names = ElementType.allCases.sorted { $0.rawValue < $1.rawValue }.map(\.description)
        #expect(
            names == [
                "float", "double", "half", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
            ])
        #expect(ElementType.allCases.map(\.rawValue).sorted() == Array(0..<12))
        #expect(
            ReductionOperation.allCases.map { "\($0) \($0.rawValue)" } == ["sum 0", "avg 1", "prod 2", "min 3", "max 4"])
    }

    @Test(arguments: ElementType.allCases) func describesItsSwiftType(type: ElementType) {
        func check<E: Reducible>(_: E.Type) {
            #expect(E.elementType == type)
            #expect(MemoryLayout<E>.stride == type.byteCount)
            #expect(MemoryLayout<E>.size == type.byteCount)
            #expect((E.self is any FixedWidthInteger.Type) == type.isInteger)
        }
        check(type.swiftType)
    }
}
