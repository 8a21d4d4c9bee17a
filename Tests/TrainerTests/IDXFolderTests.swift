import Testing

@testable import Trainer

@Suite("Folders of IDX files")
struct IDXFolderTests {
    @Test("with one pair hold its last fifth out", arguments: [5, 9, 10, 23])
    func onePair(count: Int) throws {
        let folder = try TemporaryFolder()
        try folder.write(IDXBytes.images(count: count), to: "t10k-images-idx3-ubyte")
        try folder.writePacked(IDXBytes.labels(count: count), to: "t10k-labels-idx1-ubyte.gz")
        let split = try IDXFolder.load(folder.path)
        #expect(split.heldOut.count == count / 5)
        #expect(split.training.count == count - count / 5)
        #expect(split.images.training.labels + split.images.heldOut.labels == (0..<count).map { UInt8($0 % 10) })
        #expect(split.images.training.pixels + split.images.heldOut.pixels == (0..<count * 6).map { UInt8(truncatingIfNeeded: $0) })
    }

    @Test("with train and t10k learn from the first and hold the second out")
    func twoPairs() throws {
        let folder = try TemporaryFolder()
        try folder.write(IDXBytes.images(count: 7), to: "train-images-idx3-ubyte")
        try folder.write(IDXBytes.labels(count: 7), to: "train-labels-idx1-ubyte")
        try folder.writePacked(IDXBytes.images(count: 3), to: "t10k-images-idx3-ubyte.gz")
        try folder.writePacked(IDXBytes.labels(count: 3), to: "t10k-labels-idx1-ubyte.gz")
        try folder.write(Array("words".utf8), to: "README")
        let split = try IDXFolder.load(folder.path)
        #expect(split.training.count == 7 && split.heldOut.count == 3)
    }

    @Test("take any name, and the plain file before the packed one")
    func otherName() throws {
        let folder = try TemporaryFolder()
        try folder.write(IDXBytes.images(count: 10), to: "emnist-digits-images-idx3-ubyte")
        try folder.writePacked(IDXBytes.images(count: 3), to: "emnist-digits-images-idx3-ubyte.gz")
        try folder.write(IDXBytes.labels(count: 10), to: "emnist-digits-labels-idx1-ubyte")
        #expect(try IDXFolder.load(folder.path).training.count == 8)
    }

    /// Images and labels of a stem, with what stands between their names and `idx`.
    private func write(_ stem: String, count: Int, in folder: TemporaryFolder, separator: String = "-") throws {
        try folder.write(IDXBytes.images(count: count), to: "\(stem)-images\(separator)idx3-ubyte")
        try folder.writePacked(IDXBytes.labels(count: count), to: "\(stem)-labels\(separator)idx1-ubyte.gz")
    }

    @Test("may have dots in their names, as archives for other programs do")
    func dotted() throws {
        let folder = try TemporaryFolder()
        try write("train", count: 7, in: folder, separator: ".")
        try write("t10k", count: 3, in: folder, separator: ".")
        // One archive has a folder of the other name beside each file.
        try folder.makeFolder("train-images-idx3-ubyte")
        let split = try IDXFolder.load(folder.path)
        #expect(split.training.count == 7 && split.heldOut.count == 3)
    }

    @Test("may have a name before train and test", arguments: ["test", "t10k"])
    func named(heldOut: String) throws {
        let folder = try TemporaryFolder()
        try write("emnist-digits-train", count: 7, in: folder)
        try write("emnist-digits-\(heldOut)", count: 3, in: folder)
        let split = try IDXFolder.load(folder.path)
        #expect(split.training.count == 7 && split.heldOut.count == 3)
        #expect(split.origin.hasSuffix("emnist-digits-train, held out emnist-digits-\(heldOut)"))
    }

    @Test("are found where torchvision puts them", arguments: ["", "MNIST", "MNIST/raw"])
    func torchvision(below: String) throws {
        let folder = try TemporaryFolder()
        try folder.makeFolder("MNIST/raw")
        try folder.makeFolder("other")
        try write("MNIST/raw/train", count: 7, in: folder)
        try write("MNIST/raw/t10k", count: 3, in: folder)
        let split = try IDXFolder.load(below.isEmpty ? folder.path : "\(folder.path)/\(below)")
        #expect(split.training.count == 7 && split.heldOut.count == 3)
    }

    @Test("with several data sets give the one that is named, and none that is not")
    func several() throws {
        let folder = try TemporaryFolder()
        for (index, name) in ["emnist-digits", "emnist-mnist"].enumerated() {
            try write("\(name)-train", count: 7 + index, in: folder)
            try write("\(name)-test", count: 3, in: folder)
        }
        try write("train", count: 9, in: folder)
        try write("t10k", count: 4, in: folder)
        let error = try #require(throws: DataError.self) { try IDXFolder.load(folder.path) }
        #expect(error.cause == .ambiguous && error.found == "train and t10k, emnist-digits, emnist-mnist")
        expectOneClearLine(error, folder.path)
        #expect(try IDXFolder.load(folder.path + "/emnist-digits").training.count == 7)
        #expect(try IDXFolder.load(folder.path + "/emnist-mnist").training.count == 8)
        #expect(try IDXFolder.load(folder.path + "/train").training.count == 9)
        let unknown = try #require(throws: DataError.self) { try IDXFolder.load(folder.path + "/emnist-letters") }
        #expect(unknown.cause == .missing)
    }

    @Test("with several data sets below them are refused")
    func severalBelow() throws {
        let folder = try TemporaryFolder()
        for name in ["MNIST", "FashionMNIST"] {
            try folder.makeFolder("\(name)/raw")
            try write("\(name)/raw/train", count: 7, in: folder)
        }
        let error = try #require(throws: DataError.self) { try IDXFolder.load(folder.path) }
        #expect(error.cause == .ambiguous && error.remedy.contains("/FashionMNIST/raw"))
    }

    /// The files of a folder, and the cause that must be found. Images are 2 x 3 unless told.
    static let badFolders: [(String, [String: [UInt8]], DataError.Cause)] = [
        ("nothing", [:], .missing),
        ("other files", ["notes.txt": [1, 2, 3]], .missing),
        ("no labels", ["t10k-images-idx3-ubyte": IDXBytes.images(count: 10)], .missing),
        ("no images", ["t10k-labels-idx1-ubyte": IDXBytes.labels(count: 10)], .missing),
        (
            "train, and labels only of t10k",
            [
                "train-images-idx3-ubyte": IDXBytes.images(count: 10), "train-labels-idx1-ubyte": IDXBytes.labels(count: 10),
                "t10k-labels-idx1-ubyte": IDXBytes.labels(count: 10),
            ], .missing
        ),
        (
            "two sets of other names",
            [
                "a-images-idx3-ubyte": IDXBytes.images(count: 10), "a-labels-idx1-ubyte": IDXBytes.labels(count: 10),
                "b-images-idx3-ubyte": IDXBytes.images(count: 10), "b-labels-idx1-ubyte": IDXBytes.labels(count: 10),
            ], .ambiguous
        ),
        (
            "two parts to hold out",
            Dictionary(
                uniqueKeysWithValues: ["train", "t10k", "test"].flatMap { stem in
                    [("\(stem)-images-idx3-ubyte", IDXBytes.images(count: 5)), ("\(stem)-labels-idx1-ubyte", IDXBytes.labels(count: 5))]
                }), .ambiguous
        ),
        (
            "too few to hold some out",
            ["t10k-images-idx3-ubyte": IDXBytes.images(count: 4), "t10k-labels-idx1-ubyte": IDXBytes.labels(count: 4)], .wrongSize
        ),
        (
            "images of two sizes",
            [
                "train-images-idx3-ubyte": IDXBytes.images(count: 2), "train-labels-idx1-ubyte": IDXBytes.labels(count: 2),
                "t10k-images-idx3-ubyte": IDXBytes.images(count: 2, rows: 3), "t10k-labels-idx1-ubyte": IDXBytes.labels(count: 2),
            ], .mismatch
        ),
    ]

    @Test("that are no data set are refused", arguments: badFolders)
    func bad(what: String, files: [String: [UInt8]], cause: DataError.Cause) throws {
        let folder = try TemporaryFolder()
        for (name, bytes) in files { try folder.write(bytes, to: name) }
        let error = try #require(throws: DataError.self) { try IDXFolder.load(folder.path) }
        #expect(error.cause == cause, "\(what): \(error)")
        expectOneClearLine(error, error.path)
        #expect(error.path.hasPrefix(folder.path))
    }

    @Test("that are not there, or are files, are refused")
    func notThere() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write([1], to: "file")
        for path in [folder.path + "/nowhere", file] {
            let error = try #require(throws: DataError.self) { try IDXFolder.load(path) }
            #expect(error.cause == .missing)
            expectOneClearLine(error, path)
        }
    }
}
