/// What is wrong with the bytes of a connection.
enum FrameError: Error, Equatable {
    case tooLong(byteCount: Int, limit: Int)
    case truncated
    case notAuthentic
}
