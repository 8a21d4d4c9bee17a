import Crypto

/// SHA-256 in hexadecimal, of what must be equal on every rank.
enum Fingerprint {
    /// Over the bytes of all parameters in forward order, and then of the statistics, as they lie in memory (little-endian on every machine we run on).
    static func parameters(of model: any Model) -> String { parameters(model.parameters + model.statistics) }

    static func parameters(_ parameters: [Parameter]) -> String {
        var hash = SHA256()
        for parameter in parameters {
            // SAFETY: the model holds the memory.
            unsafe hash.update(bufferPointer: UnsafeRawBufferPointer(parameter.values))
        }
        return hexadecimal(hash.finalize())
    }

    static func text(_ parts: some Sequence<[UInt8]>) -> String {
        var hash = SHA256()
        for part in parts { hash.update(data: part) }
        return hexadecimal(hash.finalize())
    }

    static func data(_ split: DataSplit) -> String {
        var hash = SHA256()
        split.training.hash(into: &hash)
        split.heldOut.hash(into: &hash)
        return hexadecimal(hash.finalize())
    }

    private static func hexadecimal(_ digest: SHA256.Digest) -> String {
        digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
    }
}
