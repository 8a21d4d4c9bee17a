import FoundationEssentials

/// Finds and loads the data set of a folder.
///
/// Its files are `<stem>-images-idx3-ubyte` with `<stem>-labels-idx1-ubyte`, or with a dot before `idx`, each plain or with `.gz`; of
/// several forms of one file the plain one is read first, then the one with a dash. Stems that end in `train`, and in `t10k` or `test`, after
/// the same name, such as `emnist-digits-train` and `emnist-digits-test`, are learnt from and held out. With one pair only, its last
/// fifth is held out: of MNIST's 10,000 test images the first 8,000 are learnt from.
///
/// A folder without such files may have them in `raw` or in `<name>/raw`, as torchvision lays them down. Where several data sets are
/// found, none is taken unless the path goes on with its name: `FOLDER/emnist-digits`.
///
/// Images are learnt from as they lie in the file. EMNIST's lie there mirrored along the diagonal, in training and test alike.
public enum IDXFolder {
    private static let imagesEnding = "images-idx3-ubyte"
    private static let labelsEnding = "labels-idx1-ubyte"
    private static let remedy = "name a folder with MNIST's files, or leave --data out to train on generated digits"

    public static func load(_ path: String) throws(DataError) -> DataSplit {
        if !isFolder(path), let (folder, name) = parts(of: path), isFolder(folder) {
            let found = try sets(in: folder).filter { $0.name == name || $0.stems.contains(name) }
            if let set = found.first { return try load(set) }
        }
        let found = try sets(in: path)
        guard let set = found.first else {
            throw DataError(
                .missing, path: path, expected: "files like train-\(imagesEnding).gz and train-\(labelsEnding).gz", found: "none",
                remedy: remedy)
        }
        guard found.count == 1 else {
            throw DataError(
                .ambiguous, path: path, expected: "one data set", found: found.map(\.title).joined(separator: ", "),
                remedy: "name one, as \(set.folder)/\(set.name.isEmpty ? set.stems[0] : set.name)")
        }
        return try load(set)
    }

    // MARK: what there is

    /// Files that belong together.
    private struct FileSet {
        var folder: String
        /// What comes before `train` and `test`, or the one stem; empty for MNIST's own names.
        var name: String
        var training: [String] = []
        var heldOut: [String] = []

        var stems: [String] { training + heldOut }
        var title: String { name.isEmpty ? stems.joined(separator: " and ") : name }
    }

    private enum Part { case training, heldOut }

    /// The data sets of a folder, by name; if it has none, those of the folders named `raw` below it.
    private static func sets(in folder: String) throws(DataError) -> [FileSet] {
        let entries = try names(in: folder)
        let own = sets(of: entries, in: folder)
        if !own.isEmpty { return own }
        return (["raw"] + entries.sorted().map { "\($0)/raw" }).flatMap { place in
            let files = (try? names(in: "\(folder)/\(place)")) ?? []
            return sets(of: files, in: "\(folder)/\(place)")
        }
    }

    private static func sets(of files: [String], in folder: String) -> [FileSet] {
        var found: [String: FileSet] = [:]
        for stem in Set(files.compactMap(stem)).sorted() where hasFile(folder, stem) {
            let (name, part) = member(stem)
            var set = found[name] ?? FileSet(folder: folder, name: name)
            if part == .training { set.training.append(stem) } else { set.heldOut.append(stem) }
            found[name] = set
        }
        return found.values.sorted { $0.name < $1.name }
    }

    /// `emnist-digits-train` is the part of `emnist-digits` to learn from; a stem of another form is a set of its own.
    private static func member(_ stem: String) -> (name: String, part: Part) {
        let words = stem.split(separator: "-", omittingEmptySubsequences: false)
        let part: Part? = ["train": .training, "test": .heldOut, "t10k": .heldOut][words.last ?? ""]
        guard let part else { return (stem, .training) }
        return (words.dropLast().joined(separator: "-"), part)
    }

    /// - Returns: nil for what is no file of a data set.
    private static func stem(_ file: String) -> String? {
        [imagesEnding, labelsEnding].lazy.compactMap { ending in
            forms(of: ending).first { file.hasSuffix("-" + $0) }.map { String(file.dropLast($0.count + 1)) }
        }.first
    }

    /// In the order in which they are looked for.
    private static func forms(of ending: String) -> [String] {
        let dotted = ending.replacing("-idx", with: ".idx")
        return [ending, dotted, ending + ".gz", dotted + ".gz"]
    }

    /// Archives may have folders under the names of files.
    private static func hasFile(_ folder: String, _ stem: String) -> Bool {
        [imagesEnding, labelsEnding].contains { file(folder, stem, $0) != nil }
    }

    private static func file(_ folder: String, _ stem: String, _ ending: String) -> String? {
        forms(of: ending).map { "\(folder)/\(stem)-\($0)" }.first {
            var isFolder = false
            return FileManager.default.fileExists(atPath: $0, isDirectory: &isFolder) && !isFolder
        }
    }

    // MARK: loading

    private static func load(_ set: FileSet) throws(DataError) -> DataSplit {
        guard set.training.count <= 1 && set.heldOut.count <= 1 else {
            throw DataError(
                .ambiguous, path: set.folder, expected: "one part to learn from and one to hold out",
                found: set.stems.joined(separator: ", "), remedy: "keep one of each in a folder")
        }
        guard let training = set.training.first, let heldOut = set.heldOut.first else {
            return try divided(set.folder, set.stems.first ?? "")
        }
        return try separate(set.folder, training, heldOut)
    }

    private static func separate(_ folder: String, _ trainingStem: String, _ heldOutStem: String) throws(DataError) -> DataSplit {
        let training = try pair(folder, trainingStem)
        let heldOut = try pair(folder, heldOutStem)
        guard training.rows == heldOut.rows && training.columns == heldOut.columns else {
            throw DataError(
                .mismatch, path: folder,
                expected: "\(heldOutStem)'s images as large as \(trainingStem)'s, \(training.rows) x \(training.columns)",
                found: "\(heldOut.rows) x \(heldOut.columns)", remedy: "keep one data set in a folder")
        }
        return DataSplit(training: training, heldOut: heldOut, origin: "\(folder): \(trainingStem), held out \(heldOutStem)")
    }

    private static func divided(_ folder: String, _ stem: String) throws(DataError) -> DataSplit {
        let all = try pair(folder, stem)
        let trainingCount = all.count - all.count / 5
        guard trainingCount < all.count else {
            throw DataError(
                .wrongSize, path: folder, expected: "at least 5 images, to hold out one in five", found: "\(all.count)",
                remedy: remedy)
        }
        return DataSplit(
            training: all[0..<trainingCount], heldOut: all[trainingCount..<all.count],
            origin: "\(folder): first \(trainingCount) of \(stem), held out the other \(all.count - trainingCount)")
    }

    private static func pair(_ folder: String, _ stem: String) throws(DataError) -> ImageDataset {
        try IDXFile.dataset(images: existing(folder, stem, imagesEnding), labels: existing(folder, stem, labelsEnding))
    }

    private static func existing(_ folder: String, _ stem: String, _ ending: String) throws(DataError) -> String {
        if let file = file(folder, stem, ending) { return file }
        throw DataError(
            .missing, path: "\(folder)/\(stem)-\(ending)", expected: "this file, or the same with .gz", found: "neither",
            remedy: "put images and labels side by side")
    }

    // MARK: folders

    private static func isFolder(_ path: String) -> Bool {
        var isFolder = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder
    }

    /// - Returns: nil for a path that ends in a slash.
    private static func parts(of path: String) -> (folder: String, name: String)? {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let name = String(path[path.index(after: slash)...])
        return name.isEmpty ? nil : (slash == path.startIndex ? "/" : String(path[..<slash]), name)
    }

    private static func names(in folder: String) throws(DataError) -> [String] {
        guard isFolder(folder) else {
            let exists = FileManager.default.fileExists(atPath: folder)
            throw DataError(
                .missing, path: folder, expected: "a folder with IDX files", found: exists ? "a file" : "nothing", remedy: remedy)
        }
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw DataError(
                .unreadable, path: folder, expected: "a readable folder", found: "no permission to list it",
                remedy: "give this user permission to read it")
        }
    }
}
