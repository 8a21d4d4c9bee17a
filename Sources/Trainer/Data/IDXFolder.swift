import FoundationEssentials

/// Finds and loads the data set of a folder.
///
/// Looked for: `<name>-images-idx3-ubyte` with `<name>-labels-idx1-ubyte`, each plain or with `.gz`. With both `train` and `t10k`
/// the first is learnt from and the second held out. With one pair only, its last fifth is held out: of MNIST's 10,000 test
/// images the first 8,000 are learnt from.
public enum IDXFolder {
    private static let imagesEnding = "-images-idx3-ubyte"
    private static let labelsEnding = "-labels-idx1-ubyte"
    private static let remedy = "name a folder with MNIST's files, or leave --data out to train on generated digits"

    public static func load(_ folder: String) throws(DataError) -> DataSplit {
        let files = try contents(of: folder)
        let names = Set(files.flatMap { file in [imagesEnding, labelsEnding].compactMap { setName(of: file, ending: $0) } })
        if names.isSuperset(of: ["train", "t10k"]) {
            return try separate(folder, files)
        }
        guard let name = names.first else {
            throw DataError(
                .missing, path: folder, expected: "files like train\(imagesEnding).gz and train\(labelsEnding).gz", found: "none",
                remedy: remedy)
        }
        guard names.count == 1 else {
            throw DataError(
                .ambiguous, path: folder, expected: "train and t10k, or one data set only",
                found: names.sorted().joined(separator: ", "), remedy: "keep one data set in a folder")
        }
        return try divided(folder, files, name)
    }

    private static func separate(_ folder: String, _ files: Set<String>) throws(DataError) -> DataSplit {
        let training = try pair(folder, files, "train")
        let heldOut = try pair(folder, files, "t10k")
        guard training.rows == heldOut.rows && training.columns == heldOut.columns else {
            throw DataError(
                .mismatch, path: folder, expected: "t10k's images as large as train's, \(training.rows) x \(training.columns)",
                found: "\(heldOut.rows) x \(heldOut.columns)", remedy: "keep one data set in a folder")
        }
        return DataSplit(training: training, heldOut: heldOut, origin: "\(folder): train, held out t10k")
    }

    private static func divided(_ folder: String, _ files: Set<String>, _ name: String) throws(DataError) -> DataSplit {
        let all = try pair(folder, files, name)
        let trainingCount = all.count - all.count / 5
        guard trainingCount < all.count else {
            throw DataError(
                .wrongSize, path: folder, expected: "at least 5 images, to hold out one in five", found: "\(all.count)",
                remedy: remedy)
        }
        return DataSplit(
            training: all[0..<trainingCount], heldOut: all[trainingCount..<all.count],
            origin: "\(folder): first \(trainingCount) of \(name), held out the other \(all.count - trainingCount)")
    }

    private static func pair(_ folder: String, _ files: Set<String>, _ name: String) throws(DataError) -> ImageDataset {
        try IDXFile.dataset(
            images: path(folder, files, name + imagesEnding), labels: path(folder, files, name + labelsEnding))
    }

    /// The plain file where there is one, else the packed one.
    private static func path(_ folder: String, _ files: Set<String>, _ file: String) throws(DataError) -> String {
        for candidate in [file, file + ".gz"] where files.contains(candidate) { return "\(folder)/\(candidate)" }
        throw DataError(
            .missing, path: "\(folder)/\(file)", expected: "this file, or the same with .gz", found: "neither",
            remedy: "put images and labels side by side")
    }

    private static func setName(of file: String, ending: String) -> String? {
        let plain = file.hasSuffix(".gz") ? String(file.dropLast(3)) : file
        return plain.hasSuffix(ending) ? String(plain.dropLast(ending.count)) : nil
    }

    private static func contents(of folder: String) throws(DataError) -> Set<String> {
        var isFolder = false
        let exists = FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder)
        guard exists && isFolder else {
            throw DataError(
                .missing, path: folder, expected: "a folder with IDX files", found: exists ? "a file" : "nothing", remedy: remedy)
        }
        do {
            return Set(try FileManager.default.contentsOfDirectory(atPath: folder))
        } catch {
            throw DataError(
                .unreadable, path: folder, expected: "a readable folder", found: "no permission to list it",
                remedy: "give this user permission to read it")
        }
    }
}
