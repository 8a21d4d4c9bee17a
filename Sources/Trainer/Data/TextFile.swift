/// Reads a text to learn from: UTF-8, plain or packed by gzip.
public enum TextFile {
    /// The most that is read: tokens take four times as much.
    private static let limit = 1 << 30

    /// - Parameter alphabet: of a model that is there already; nil: the text's own.
    public static func load(
        _ path: String, context: Int = ModelChoice.context, alphabet: [Unicode.Scalar]? = nil
    ) throws(DataError) -> DataSplit {
        var source = try ByteSource(path: path)
        let bytes = try source.read(upTo: limit + 1)
        guard bytes.count <= limit else {
            throw DataError(
                .wrongSize, path: path, expected: "a text of at most \(limit) bytes", found: "more", remedy: "give a part of it")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw DataError(.notText, path: path, expected: "UTF-8", found: "bytes that are not", remedy: "convert it: iconv -t UTF-8")
        }
        if let alphabet, let other = Set(text.unicodeScalars).subtracting(alphabet).min() {
            throw DataError(
                .mismatch, path: path, expected: "a text of the model's \(alphabet.count) characters",
                found: SafetensorsJSON.quoted(String(Character(other))), remedy: "give a text like that it was trained on")
        }
        guard let split = TextDataset.split(text, context: context, alphabet: alphabet, origin: path) else {
            throw DataError(
                .wrongSize, path: path, expected: "at least \(10 * (context + 1)) characters, to hold out one in ten",
                found: "\(text.unicodeScalars.count)",
                remedy: "give a longer text")
        }
        return split
    }
}
