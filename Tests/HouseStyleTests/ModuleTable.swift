import Foundation

/// The repository as a test sees it.
enum Repository {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func text(_ path: String) throws -> String { try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8) }

    /// Folders under Sources, by their paths below it.
    static func sourceFolders() throws -> Set<String> {
        let all = try FileManager.default.subpathsOfDirectory(atPath: root.appendingPathComponent("Sources").path)
        return Set(all.filter { $0.hasSuffix(".swift") || $0.hasSuffix(".c") }.map { ($0 as NSString).deletingLastPathComponent })
    }
}

/// The modules that Package.swift declares with `core` and `module`, and the executables under Sources.
struct ModuleTable {
    struct Module {
        var name: String
        /// Below Sources.
        var path: String
        var isCore: Bool
        /// Folders below it that are modules of their own.
        var without: [String]
        /// Those that are written as names; products of packages are not.
        var dependencies: [String]
    }

    var modules: [Module] = []

    init(manifest: String) {
        let pattern = /\b(core|module)\(\s*"(\w+)"(?:, at: "([^"]+)")?(?:, without: \[([^\]]*)\])?(?:,\s*\[([^\]]*)\])?/
        for match in manifest.matches(of: pattern) {
            let name = String(match.2)
            modules.append(
                Module(
                    name: name, path: match.3.map(String.init) ?? name, isCore: match.1 == "core", without: Self.names(match.4),
                    dependencies: Self.names(match.5)))
        }
        for match in manifest.matches(of: /\.executableTarget\(\s*name: "([^"]+)",\s*dependencies: \[[^\]]*\],\s*swiftSettings/) {
            modules.append(Module(name: String(match.1), path: String(match.1), isCore: false, without: [], dependencies: []))
        }
    }

    private static func names(_ list: Substring?) -> [String] { (list ?? "").matches(of: /"(\w+)"/).map { String($0.1) } }
}
