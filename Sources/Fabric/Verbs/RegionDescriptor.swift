import Fabric
import Verbs

/// What a peer must know to write into a region. On the wire: address 8, length 8, exponent of the pieces' stride 1, then of each piece, and
/// in it of each device, the key 4.
struct RegionDescriptor: Equatable {
    var address: UInt64
    var byteCount: Int
    /// Pieces begin every 2^`strideExponent` bytes; see `RegistrationPieces`.
    var strideExponent = RegistrationPieces.wholeExponent
    /// Of piece p the key for device d is at p * devices + d.
    var keys: [RemoteKey]
}

extension RegionDescriptor {
    init?(decoding bytes: [UInt8]) {
        var reader = WireReader(bytes)
        guard let address: UInt64 = reader.read(), let length: UInt64 = reader.read(), let byteCount = Int(exactly: length),
            !address.addingReportingOverflow(length).overflow, let exponent: UInt8 = reader.read(),
            exponent <= RegistrationPieces.wholeExponent
        else { return nil }
        var keys: [RemoteKey] = []
        repeat {
            guard let key: UInt32 = reader.read() else { return nil }
            keys.append(RemoteKey(rawValue: key))
        } while !reader.isAtEnd
        self.init(address: address, byteCount: byteCount, strideExponent: Int(exponent), keys: keys)
    }

    /// Whether there is a key for every piece and device.
    func isComplete(devices: Int) -> Bool {
        let (keys, pieces) = (keys.count, RegistrationPieces.count(byteCount: byteCount, strideExponent: strideExponent))
        return keys % devices == 0 && keys / devices == pieces
    }

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.append(address)
        writer.append(UInt64(byteCount))
        writer.append(UInt8(strideExponent))
        for key in keys { writer.append(key.rawValue) }
        return writer.bytes
    }
}
