import Gradients
import Reduction
import Testing

@Suite struct GradientLayoutTests {
    static let model = [("a", 1000), ("b", 10), ("c", 0), ("d", 17), ("e", 5000), ("f", 1)].map {
        ParameterLayout(name: $0.0, elementCount: $0.1)
    }
    /// All types by turns.
    static let mixture = model.enumerated().map {
        ParameterLayout(name: $1.name, elementCount: $1.elementCount, type: ParameterLayout.types[$0 % 4])
    }

    @Test(arguments: [model, mixture, [], [model[2]]], [false, true])
    func gradientsAreDisjointAlignedAndInReverseOrder(model: [ParameterLayout], tracksUse: Bool) throws {
        let layout = GradientLayout(parameters: model, tracksUse: tracksUse)
        #expect(layout.parameterCount == model.count)
        var taken: [Range<Int>] = []
        for section in layout.sections {
            #expect(section.byteOffset % (GradientLayout.granule * section.type.byteCount) == 0)
            var end = section.byteOffset
            for index in model.indices.reversed() where model[index].type == section.type {
                let range = layout.byteRange(ofParameter: index)
                #expect(range.count == model[index].elementCount * section.type.byteCount)
                #expect(range.lowerBound >= end && range.lowerBound % GradientLayout.alignment == 0)
                end = range.upperBound
                taken.append(range)
            }
            #expect(end <= layout.byteRange(0..<section.elementCount, ofSection: layout.sections.firstIndex(of: section)!).upperBound)
        }
        if let use = layout.useIndex {
            #expect(layout.parameters[use].elementCount == model.count && layout.parameters[use].type == .uint8)
            taken.append(layout.byteRange(ofParameter: use))
        }
        taken = taken.filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
        #expect(zip(taken, taken.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound })
        #expect(taken.allSatisfy { $0.upperBound <= layout.byteCount })
    }

    @Test func differenceNamesRankAndParameter() throws {
        var other = Self.model
        other[3].elementCount = 18
        let manifests = [Self.model, Self.model, other].map { GradientLayout(parameters: $0).manifest("fixed") }
        let difference = try #require(GradientLayout.difference(manifests))
        #expect(difference.rank == 2)
        #expect(difference.detail.contains("'d' of 17") && difference.detail.contains("'d' of 18"))
        var retyped = Self.model
        retyped[0].type = .bfloat16
        let types = try #require(GradientLayout.difference([manifests[0], GradientLayout(parameters: retyped).manifest("fixed")]))
        #expect(types.detail.contains("1000 float") && types.detail.contains("1000 bfloat16"))
        let shorter = GradientLayout(parameters: Array(Self.model.dropLast())).manifest("fixed")
        #expect(try #require(GradientLayout.difference([manifests[0], shorter])).detail.contains("nothing more"))
        let settled = GradientLayout(parameters: Self.model).manifest("ddp")
        #expect(try #require(GradientLayout.difference([manifests[0], settled])).detail.contains("ddp"))
        #expect(GradientLayout.difference([manifests[0], manifests[1]]) == nil)
    }
}
