import Crypto

/// SHA-256 in hexadecimal, of what must be equal on every rank.
enum Fingerprint {
    /// Over the bytes of all parameters in forward order, as they lie in memory (little-endian on every machine we run on).
    static func parameters(of model: MultilayerPerceptron) -> String {
        var hash = SHA256()
        for index in 0..<model.parameterCount {
            // SAFETY: the model holds the memory.
            unsafe hash.update(bufferPointer: UnsafeRawBufferPointer(model.parameter(at: index)))
        }
        return hexadecimal(hash.finalize())
    }

    static func data(_ split: DataSplit) -> String {
        var hash = SHA256()
        for part in [split.training, split.heldOut] {
            hash.update(data: Array("\(part.count) \(part.rows) \(part.columns) ".utf8))
            hash.update(data: part.pixels)
            hash.update(data: part.labels)
        }
        return hexadecimal(hash.finalize())
    }

    private static func hexadecimal(_ digest: SHA256.Digest) -> String {
        digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
    }
}
