/// Where elements begin. Numbers of input and output count elements from where that rank's own input or output begins.
public enum Location: Equatable, Sendable {
    case input(Int)
    case output(Int)
    /// A slot of the receive buffers that peers write into after this rank has invited them.
    case gated(slot: Int)
    /// The same memory, from so many elements of its beginning on.
    case gatedElement(Int)
    /// The slot of a rank in the receive buffers that peers write into unasked; see `ReceiveBuffers`. `RecursiveDoubling` numbers them in its own way.
    case eager(rank: Int)
    /// A message in a wire format, at so many bytes from the beginning of the lane's gated slots.
    case encoded(Int)
    /// Memory of a rank on this node, seen through its mapping.
    case peerInput(Int, rank: Int)
    case peerOutput(Int, rank: Int)
}
