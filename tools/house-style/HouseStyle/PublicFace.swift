/// The public declarations of the module Verbena, and of the types below it that it names its own, as docs/API.md shows them.
///
/// The page is written by hand, but for what stands between `<!-- type: Name -->` and `<!-- end -->`: a line for each public member of that type, its
/// head and the first sentence of its comment, in the order of the sources. `<!-- type: Name in File.swift -->` has those of one file; then the other one
/// has the rest. `tools/tidy --api` writes those lines, and the house style compares them.
public struct PublicFace: Sendable {
    public static let page = "docs/API.md"
    /// The face's own module, all of whose public types are shown, and the modules below it that have those which it names its own.
    static let folder = "Sources/Verbena"
    static let folders = [
        folder, "Sources/Collectives", "Sources/Engine", "Sources/Fabric/SharedMemory", "Sources/Gradients", "Sources/Membership",
        "Sources/Reduction",
    ]

    struct Member: Equatable {
        /// The name of its file.
        var file: Substring
        /// The type that it belongs to: `VerbenaError.Cause`. Empty for a type that belongs to none.
        var owner: String
        /// Of a type: its name, with those of the types around it.
        var typeName: String?
        /// Without its body.
        var head: String
        /// The first sentence of its comment.
        var summary: String
    }

    /// What a marker on the page stands for.
    private struct Marker: Equatable {
        var type: String
        var file: Substring?

        init?(_ line: String) {
            guard line.hasPrefix("<!-- type: "), line.hasSuffix(" -->") else { return nil }
            let words = line.dropFirst(11).dropLast(4).split(separator: " ")
            type = String(words.first ?? "")
            file = words.count == 3 ? words[2] : nil
        }
    }

    private var members: [Member] = []
    private let ownTypes: [String]

    /// - Parameter files: of Sources; those in other languages do not count.
    public init(_ files: [SourceFile]) {
        var own: [String] = []
        for file in files.sorted(by: { $0.path < $1.path }) where file.language == .swift && Self.folders.contains(where: file.isUnder) {
            let found = Self.members(of: file)
            members += found
            guard file.isUnder(Self.folder) else { continue }
            own += found.filter { $0.owner.isEmpty }.compactMap(\.typeName)
            own += found.compactMap { $0.head.hasPrefix("typealias ") ? String($0.head.dropFirst(10).prefix { $0 != " " }) : nil }
        }
        ownTypes = Array(Set(own)).sorted()
    }

    /// The page as it has to be.
    public func rendered(_ page: SourceFile) -> String {
        var lines: [String] = []
        var isSkipping = false
        let markers = page.lines.compactMap { Marker($0.raw) }
        for line in page.lines.map(\.raw) {
            if line == "<!-- end -->" { isSkipping = false }
            if !isSkipping { lines.append(line) }
            guard let marker = Marker(line) else { continue }
            isSkipping = true
            let others = markers.filter { $0.type == marker.type }.compactMap(\.file)
            lines += section(marker.type) { marker.file == nil ? !others.contains($0) : $0 == marker.file! }
        }
        if isSkipping { lines.append("<!-- end -->") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// What is wrong with the page.
    public func findings(in page: SourceFile) -> [Finding] {
        let shown = page.lines.compactMap { Marker($0.raw)?.type }
        let missing = ownTypes.filter { !shown.contains($0) }.map {
            page.finding(
                0, "the public type \($0) is not shown", "add `<!-- type: \($0) -->` and `<!-- end -->`, then run tools/tidy --api")
        }
        let unknown = page.lines.indices.compactMap { index in
            Marker(page.lines[index].raw).flatMap { marker in
                ownTypes.contains(marker.type)
                    ? nil : page.finding(index, "\(marker.type) is no type of the public face", "remove its lines")
            }
        }
        let lines = rendered(page).split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        guard
            let first = zip(lines, page.lines).enumerated().first(where: { $1.0 != $1.1.raw })?.offset
                ?? (lines.count == page.lines.count ? nil : min(lines.count, page.lines.count) - 1)
        else { return missing + unknown }
        return missing + unknown + [page.finding(first, "the page does not say what the sources say", "run tools/tidy --api")]
    }

    private func section(_ type: String, indent: String = "", of isWanted: (Substring) -> Bool) -> [String] {
        var lines: [String] = []
        for member in members where member.owner == type && isWanted(member.file) && !member.head.hasPrefix("var description:") {
            lines.append(indent + "- " + text(of: member))
            if let nested = member.typeName { lines += section(nested, indent: indent + "  ", of: isWanted) }
        }
        guard indent.isEmpty, let head = members.first(where: { $0.typeName == type }), isWanted(head.file) else { return lines }
        return [text(of: head), ""] + lines
    }

    private func text(of member: Member) -> String { "`\(member.head)`\(member.summary.isEmpty ? "" : ": \(member.summary)")" }

    // MARK: reading

    private static func members(of file: SourceFile) -> [Member] {
        let types = file.declarations.filter { $0.kind == .type }
        return file.lines.indices.compactMap { index -> Member? in
            let around = file.declarations.filter { $0.first < index && index <= $0.last }
            guard around.allSatisfy({ $0.kind == .type }) else { return nil }
            let owners = around.sorted { $0.first < $1.first }.map { name(of: file.lines[$0.first].code) }
            let code = file.lines[index].code.trimmed()
            let isCase =
                code.hasPrefix("case ") && (around.max { $0.first < $1.first }).map { file.lines[$0.first].code.hasWord("public") } == true
            guard isCase || code.hasWord("public"), !code.hasWord("import") else { return nil }
            let own = types.first { $0.first == index && !code.hasWord("extension") }.map { _ in name(of: code) }
            return Member(
                file: file.path.split(separator: "/").last ?? "", owner: owners.joined(separator: "."),
                typeName: own.map { (owners + [$0]).joined(separator: ".") }, head: head(file, index),
                summary: summary(file, above: index))
        }
    }

    /// The word after the keyword of a type or an extension.
    private static func name(of code: String) -> String {
        let words = code.split { " :<{".contains($0) }.map(String.init)
        let keyword = words.firstIndex { ["struct", "class", "enum", "protocol", "extension", "actor"].contains($0) } ?? 0
        return keyword + 1 < words.count ? words[keyword + 1] : ""
    }

    /// What is declared, on one line: without `public`, attributes, and its body.
    private static func head(_ file: SourceFile, _ index: Int) -> String {
        var text: [UInt8] = []
        var depth = 0
        lines: for (offset, line) in zip(index..., file.lines[index...]) {
            for (code, raw) in zip(line.code.utf8, line.raw.utf8) {
                if "([".utf8.contains(code) { depth += 1 }
                if ")]".utf8.contains(code) { depth -= 1 }
                if code == UInt8(ascii: "{"), depth == 0 { break lines }
                // A comment is blank in `code`, and what is in a string in `raw` alone.
                text.append(code == UInt8(ascii: " ") && line.comment.isEmpty ? raw : code)
            }
            text.append(UInt8(ascii: " "))
            let next = file.lines.dropFirst(offset + 1).first { !$0.code.trimmed().isEmpty }?.code.trimmed() ?? ""
            if depth == 0, !["throws", "async", "->", "where", "{"].contains(where: next.hasPrefix) { break }
        }
        let words = String(decoding: text, as: UTF8.self).split(separator: " ").filter { $0 != "public" && !$0.hasPrefix("@") }
        return words.joined(separator: " ").replacing("( ", with: "(").replacing(" )", with: ")").replacing(",)", with: ")")
    }

    /// The first sentence of the comment above a line.
    private static func summary(_ file: SourceFile, above index: Int) -> String {
        let comment = file.lines[file.headerStart(above: index)..<index].map { $0.raw.trimmed() }.filter { $0.hasPrefix("///") }
        let text = comment.map { String($0.dropFirst(3)).trimmed() }.prefix { !$0.isEmpty && !$0.hasPrefix("- ") }.joined(separator: " ")
        guard let end = text.ranges(of: ". ").first else { return text }
        return String(text[..<end.lowerBound]) + "."
    }
}
