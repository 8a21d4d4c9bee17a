import Gradients
import NIOCore
import NIOPosix
import Testing

@testable import Reports

@Suite("Serving metrics")
struct MetricsServerTests {
    private let server: MetricsServer
    private let group = MultiThreadedEventLoopGroup.singleton

    init() throws {
        // Longer than any test: only the one for it waits for the end of that time.
        let address = try #require(MetricsAddress("127.0.0.1:0"))
        server = try MetricsServer(address, Metrics(rank: 0, facts: [("fabric", "shm")]), connectionSeconds: 600)
    }

    /// Sends bytes, and collects what comes back until the server ends the connection.
    private func answer(to request: String, of other: MetricsServer? = nil) async throws -> String {
        let collected = group.next().makePromise(of: String.self)
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Collector(collected)) }
            }
            .connect(host: "127.0.0.1", port: (other ?? server).address.port).get()
        // The server may have gone by then: that is an answer, too.
        try? await channel.writeAndFlush(ByteBuffer(string: request)).get()
        return try await collected.futureResult.get()
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let promise: EventLoopPromise<String>
        private var text = ""

        init(_ promise: EventLoopPromise<String>) { self.promise = promise }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) { text += String(buffer: unwrapInboundIn(data)) }
        func channelInactive(context: ChannelHandlerContext) { promise.succeed(text) }
        // A reset connection has ended as well.
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    @Test("GET /metrics has the figures of now")
    func figures() async throws {
        server.update { $0.add(Runs.step(0)) }
        let answer = try await answer(to: "GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.contains("text/plain; version=0.0.4"))
        #expect(answer.contains("\nverbena_steps_total{rank=\"0\"} 1\n"))
        let body = try #require(answer.firstRange(of: "\r\n\r\n").map { answer[$0.upperBound...] })
        #expect(answer.lowercased().contains("content-length: \(body.utf8.count)\r\n"))
    }

    @Test(
        "other questions are refused",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n", "404"), ("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405"), ("HELO\r\n\r\n", "400"),
            ("\u{0}\u{1}\r\n\r\n\r\n", "400"),
        ])
    func refused(request: String, status: String) async throws {
        #expect(try await answer(to: request).hasPrefix("HTTP/1.1 \(status)"))
    }

    @Test("HEAD has no body, and a second question on a connection no answer")
    func single() async throws {
        #expect(try await answer(to: "HEAD /metrics HTTP/1.1\r\n\r\n").hasSuffix("\r\n\r\n"))
        let twice = try await answer(to: "GET /metrics HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n")
        #expect(twice.ranges(of: "HTTP/1.1 200").count == 1)
    }

    @Test("a header without an end is not read for ever, nor is a client waited for that says nothing")
    func bounded() async throws {
        let endless = try await answer(to: "GET /metrics HTTP/1.1\r\nX: " + String(repeating: "x", count: 1 << 20))
        #expect(!endless.contains("200 OK"))
        let impatient = try MetricsServer(try #require(MetricsAddress(":0")), Metrics(rank: 0, facts: []), connectionSeconds: 0)
        #expect(try await answer(to: "GET /metr", of: impatient) == "")
    }

    @Test("more connections than there may be are ended, and room comes back")
    func crowd() async throws {
        var silent: [any Channel] = []
        for _ in 0..<MetricsServer.connectionLimit {
            silent.append(try await ClientBootstrap(group: group).connect(host: "127.0.0.1", port: server.address.port).get())
        }
        // Connections are taken in the order in which they were made, so this one comes after those.
        #expect(try await answer(to: "GET /metrics HTTP/1.1\r\n\r\n") == "")
        for channel in silent { try? await channel.close().get() }
        var last = ""
        for _ in 0..<1000 where !last.contains("200 OK") { last = try await answer(to: "GET /metrics HTTP/1.1\r\n\r\n") }
        #expect(last.contains("200 OK"))
    }

    @Test("a port in use is one line with a remedy; after the end it is free")
    func portInUse() throws {
        let taken = server.address
        let error = try #require(throws: MetricsError.self) { _ = try MetricsServer(taken, Metrics(rank: 0, facts: [])) }
        #expect(error.description == "cannot serve metrics at \(taken): the port is in use; give another one, or 0 for any that is free")
        server.close()
        try MetricsServer(taken, Metrics(rank: 0, facts: [])).close()
    }

    @Test("an address that this machine lacks")
    func noSuchAddress() throws {
        let nowhere = try #require(MetricsAddress("192.0.2.1:0"))
        let error = try #require(throws: MetricsError.self) { _ = try MetricsServer(nowhere, Metrics(rank: 0, facts: [])) }
        #expect(error.description.contains("192.0.2.1:0: this machine has no such address; give 127.0.0.1"))
    }
}
