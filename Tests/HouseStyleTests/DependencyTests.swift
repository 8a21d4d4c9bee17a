import Foundation
import Testing

/// The versions that were tested are written down in docs/DEPENDENCIES.md; builds keep to them, and they are raised on purpose.
@Suite struct DependencyTests {
    private struct Resolved: Decodable {
        struct Pin: Decodable {
            struct State: Decodable { var version: String }

            var identity: String
            var state: State
        }

        var pins: [Pin]
    }

    private func tested() throws -> [String: String] {
        let rows = try Repository.text("docs/DEPENDENCIES.md").matches(of: /\| (swift-[a-z0-9-]+) \| ([0-9.]+) \|/)
        return Dictionary(rows.map { (String($0.1), String($0.2)) }) { first, _ in first }
    }

    private func minor(_ version: String) throws -> (major: Int, minor: Int) {
        let parts = version.split(separator: ".").compactMap { Int($0) }
        try #require(parts.count == 3, "\(version) is no version")
        return (parts[0], parts[1])
    }

    @Test func everyPackageIsBoundedByTheMinorVersionAfterTheTestedOne() throws {
        let manifest = try Repository.text("Package.swift")
        let pattern = /package\(url: "https:\/\/github\.com\/apple\/([a-z0-9-]+)(?:\.git)?", "[0-9.]+"\.\.<"([0-9.]+)"\)/
        let bounds = Dictionary(manifest.matches(of: pattern).map { (String($0.1), String($0.2)) }) { first, _ in first }
        let tested = try tested()
        #expect(Set(bounds.keys) == Set(tested.keys), "docs/DEPENDENCIES.md and Package.swift have different packages")
        for (package, version) in tested {
            let known = try minor(version)
            let wanted = "\(known.major).\(known.minor + 1).0"
            #expect(bounds[package] == wanted, "\(package): bound it by \(wanted), the minor version after the tested \(version)")
        }
    }

    @Test func whatWasResolvedIsWhatWasTested() throws {
        let pins = try JSONDecoder().decode(Resolved.self, from: Data(Repository.text("Package.resolved").utf8)).pins
        let tested = try tested()
        let remedy = "docs/DEPENDENCIES.md says how to raise a version on purpose"
        for pin in pins {
            guard let version = tested[pin.identity] else {
                Issue.record("\(pin.identity) \(pin.state.version) was resolved and is in no list of tested versions; \(remedy)")
                continue
            }
            let isTested = try minor(version) == minor(pin.state.version)
            #expect(isTested, "\(pin.identity) \(pin.state.version) was resolved, tested is \(version); \(remedy)")
        }
    }
}
