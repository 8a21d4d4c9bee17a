import Testing

@testable import HouseStyle

/// Package.swift is the one table of modules; what repeats a part of it agrees with it.
@Suite struct ModuleTableTests {
    private let table: ModuleTable

    init() throws { table = ModuleTable(manifest: try Repository.text("Package.swift")) }

    @Test func theCoreOfTidyIsThatOfTheTable() {
        let core = table.modules.filter(\.isCore)
        #expect(core.map(\.name) == Core.folders && core.allSatisfy { $0.name == $0.path })
        #expect(core.flatMap { module in module.without.map { "\(module.path)/\($0)" } } == Core.otherModules)
        #expect(Set(core.flatMap(\.dependencies)) == Core.imports)
    }

    @Test func everyFolderOfSourcesIsAModuleOrASubjectOfOne() throws {
        let paths = table.modules.map(\.path)
        #expect(paths.count > 15)
        for folder in try Repository.sourceFolders() {
            #expect(paths.contains { folder == $0 || folder.hasPrefix("\($0)/") }, "\(folder) belongs to no module")
        }
    }

    /// Entries stand at six spaces, those of modules inside another module's folder at eight; the folders that are subjects stand in the text.
    @Test func theFolderListOfTheArchitectureIsComplete() throws {
        let text = try Repository.text("docs/ARCHITECTURE.md")
        let list = text.split(separator: "\n", omittingEmptySubsequences: false).drop { $0 != "    Sources/" }.dropFirst().prefix {
            !$0.isEmpty
        }
        var listed: Set<String> = []
        var outer = ""
        for line in list {
            let indent = line.prefix { $0 == " " }.count
            guard indent == 6 || indent == 8 else { continue }
            // The names end where two spaces are.
            let entry = line.dropFirst(indent).split(separator: "  ", maxSplits: 1).first ?? ""
            let names = entry.split(separator: " ").map { String($0.dropLast()) }
            if indent == 6 { outer = names.last ?? "" }
            for name in names { listed.insert(indent == 6 ? name : "\(outer)/\(name)") }
        }
        #expect(listed == Set(table.modules.map(\.path)), "docs/ARCHITECTURE.md and Package.swift have different modules")
        let words = Set(list.joined(separator: " ").split { " ,;:()".contains($0) }.map(String.init))
        for folder in try Repository.sourceFolders() where !listed.contains(folder) {
            let name = folder.split(separator: "/").last.map(String.init) ?? ""
            #expect(words.contains("\(name)/") || words.contains(name), "docs/ARCHITECTURE.md does not name \(folder)")
        }
    }
}
