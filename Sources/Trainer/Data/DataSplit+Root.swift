public import Verbena

extension DataSplit {
    /// What rank 0 reads, on every rank: it sends the samples over the fabric, piece by piece, so that nobody else needs the files. Collective.
    ///
    /// On the wire: the bytes of all samples and labels, four for each character of a text. Beside its data, a rank holds some megabytes meanwhile.
    /// - Parameter read: called on rank 0 alone; gives images or a text, as the loaders of this module do.
    /// - Throws: `data`, what `read` threw, the same on every rank; or the engine's error.
    public static func fromRoot(
        _ communicator: Communicator, read: () throws(DataError) -> DataSplit
    ) throws(TrainingError) -> DataSplit {
        let (own, header) = try communicating { () throws(VerbenaError) in
            try RootBytes.announce(communicator, label: "data") { () throws(DataError) in
                let split = try read()
                let (training, heldOut) = (try split.part(split.training), try split.part(split.heldOut))
                return (split, Header(origin: split.origin, training: training, heldOut: heldOut))
            } header: {
                $0.1
            }
        }
        let parts: Header
        do throws(DataError) { parts = try header.get() } catch { throw .data(error) }
        return try communicating { () throws(VerbenaError) in
            DataSplit(
                training: try share(parts.training, own?.0.training, communicator),
                heldOut: try share(parts.heldOut, own?.0.heldOut, communicator), origin: parts.origin)
        }
    }

    /// What there is to know of a split before its samples come.
    private struct Header: Codable {
        var origin: String
        var training: Part
        var heldOut: Part
    }

    /// A data set without its samples.
    private enum Part: Codable {
        case images(count: Int, rows: Int, columns: Int, channels: Int)
        case text(tokens: Int, characters: Int, context: Int)
    }

    private func part(_ data: any Dataset) throws(DataError) -> Part {
        switch data {
        case let data as ImageDataset:
            return .images(count: data.count, rows: data.rows, columns: data.columns, channels: data.channels)
        case let data as TextDataset:
            return .text(tokens: data.tokens.count, characters: data.characters.count, context: data.context)
        default:
            throw DataError(
                .wrongType, path: origin, expected: "images or a text, which rank 0 can send", found: "\(type(of: data))",
                remedy: "let every rank read it")
        }
    }

    private static func share(
        _ part: Part, _ own: (any Dataset)?, _ communicator: Communicator
    ) throws(VerbenaError) -> any Dataset {
        switch part {
        case .images(let count, let rows, let columns, let channels):
            let own = own as? ImageDataset
            let pixels = try RootBytes.broadcast(own?.pixels ?? [], count: count * rows * columns * channels, communicator)
            let labels = try RootBytes.broadcast(own?.labels ?? [], count: count, communicator)
            return own ?? ImageDataset(rows: rows, columns: columns, channels: channels, pixels: pixels, labels: labels)
        case .text(let tokens, let characters, let context):
            let own = own as? TextDataset
            let scalars = try RootBytes.broadcast(own?.characters.map { Int32($0.value) } ?? [], count: characters, communicator)
            let tokens = try RootBytes.broadcast(own?.tokens ?? [], count: tokens, communicator)
            // Every one was a character on rank 0.
            return own ?? TextDataset(characters: scalars.compactMap { Unicode.Scalar(UInt32($0)) }, tokens: tokens, context: context)
        }
    }
}
