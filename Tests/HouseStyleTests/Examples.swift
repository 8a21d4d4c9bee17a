@testable import HouseStyle

private let longBody = String(repeating: "    step()\n", count: SizeLimit.functionLines - 1)
private let fittingBody = String(repeating: "    step()\n", count: SizeLimit.functionLines - 2)

extension Example {
    static let all: [Example] = sizes + texts + safety + sleeps + modules

    private static let sizes = [
        Example("function-length", "Tests/A/B.swift", "func a() {\n\(longBody)}", kept: "func a() {\n\(fittingBody)}"),
        Example("function-length", "Tests/A/B.swift", "var a: Int {\n\(longBody)}", kept: "enum A {\n\(longBody)}"),
        Example("function-length", "Tests/A/a.c", "static int a(int b)\n{\n\(longBody)}", at: 2, kept: "int a(int b) {\n\(fittingBody)}"),
        Example(
            "function-length", "tools/a", "#!/bin/sh\na() {\n\(longBody)}", at: 2,
            kept: "#!/bin/sh\na() {\n\(fittingBody)}\n\(longBody)true"),
    ]

    private static let texts = [
        Example("trailing-space", "README.md", "text ", kept: "text"),
        Example("trailing-space", "Tests/A/B.swift", "let a = 1\r", kept: "let a = 1"),
        Example("tab", "Tests/A/B.swift", "\tlet a = 1", kept: "    let a = \"\\t\""),
        Example("leftover", "Tests/A/B.swift", "let a = 1  // TODO: more", kept: "let a = \"TODO\"  // TODOS"),
        Example("leftover", "docs/A.md", "FIXME", kept: "mktemp /tmp/a.XXXXXX"),
        Example("leftover", "tools/a", "#!/bin/sh\n# HACK", at: 2, kept: "#!/bin/sh\nmktemp a.XXX"),
        Example("machine-path", "docs/A.md", "see /ho\("me")/someone/file", kept: "see $BASE/home/someone, a/work/b, ${X}/work/, ~/work/"),
        Example("machine-path", "tools/a", "#!/bin/sh\ncd '/ro\("ot")/b'", at: 2, kept: "#!/bin/sh\ncd \"$a\"/ro\("ot")/b"),
        Example("machine-path", "Tests/A/B.swift", "let a = \"/wo\("rk")/main\"", kept: "let a = \"/nowhere/main\""),
    ]

    private static let safety = [
        Example(
            "unsafe-reason", "Sources/Verbs/A.swift", "func a() {\n    unsafe b()\n    unsafe c()\n}", at: 2,
            kept: "func a() {\n    // SAFETY: the caller keeps b alive.\n    unsafe b()\n    unsafe c()\n}"),
        Example(
            "unsafe-reason", "Sources/Verbs/A.swift", "struct A {\n    let a = unsafe b\n}\n// SAFETY: of something else", at: 2,
            kept: "// SAFETY: A owns b.\n@safe\nstruct A {\n    func a() {\n        unsafe b()\n    }\n}"),
        Example(
            "unsafe-reason", "Sources/Verbs/A.swift", "func a() {\n    for unsafe b in c {}\n}", at: 2,
            kept: "// SAFETY (whole file): the owner outlives all of it.\nfunc a() {\n    for unsafe b in c {}\n}"),
        Example("unsafe-reason", "Sources/Verbs/A.swift", "let a = unsafe b", kept: "@unsafe func unsafeName() {}  // unsafe in words"),
        Example(
            "unchecked-sendable", "Sources/Verbs/A.swift", "/// A queue.\nfinal class A: @unchecked Sendable {}", at: 2,
            kept: "// Sendable: one lock guards all of it.\n/// A queue.\nfinal class A: @unchecked Sendable {}"),
        Example(
            "unchecked-sendable", "Tests/A/B.swift", "nonisolated(unsafe) var a = 1",
            kept: "nonisolated(unsafe) var a = 1  // SAFETY: written before the threads start."),
        Example("forced-try", "Tests/A/B.swift", "let a = try! b()", kept: "let a = try b()  // not try!"),
        Example("unfinished", "Tests/A/B.swift", "fatalError(\"Not implemented yet\")", kept: "fatalError(\"the table is empty\")"),
    ]

    private static let sleeps = [
        Example(
            "sleep-in-tests", "Tests/A/B.swift", "try await Task.sleep(for: .seconds(1))", kept: "Child.run(\"sleep(1)\")  // usleep(1)"),
        Example("sleep-in-tests", "Tests/A/B.swift", "usleep(10)", kept: "asleep(10)"),
        Example("sleep-in-tests", "Tests/tools/a", "#!/bin/sh\nsleep 1", at: 2, kept: "#!/bin/sh\n# no sleep\nwait"),
        Example(
            "sleep-in-tests", "Tests/tools/a", "#!/bin/sh\nsleep 5 && sleep 600", at: 2,
            kept: "#!/bin/sh\na run 'sleep 600' & sleep infinity &"),
        Example("sleep-in-tests", "Tests/tools/a.py", "time.sleep(1)", kept: "time.monotonic()"),
        Example("sleep-in-tests", "Tests/A/B.swift", "Thread.sleep(1)", kept: "thread.join()"),
    ]

    private static let modules = [
        Example(
            "verbs-signature", "Sources/Verbs/A.swift", "public func a(\n    b: ibv_mtu\n) {}",
            kept: "func a(b: ibv_mtu) {}\npublic func c() { ibv_d() }"),
        Example(
            "verbs-signature", "Sources/Verbs/A.swift", "@inlinable public static func a() -> ibv_mtu {}",
            kept: "private var open: ibv_qp { package(public: ibv_a) }"),
        Example("verbs-signature", "Sources/Verbs/A.swift", "package var a: rdma_cm_id", kept: "private var a: rdma_cm_id"),
        Example("verbs-signature", "Sources/Verbs/A.swift", "public import CVerbs", kept: "internal import CVerbs"),
        Example("pure-core", "Sources/Fabric/A.swift", "import Foundation", kept: "// import Foundation"),
        Example("pure-core", "Sources/Collectives/A.swift", "public import struct Verbena.A", kept: "public import struct Fabric.A"),
        Example("pure-core", "Sources/Collectives/A.swift", "let a = ContinuousClock.now", kept: "let a = fabric.now()"),
        Example("pure-core", "Sources/Gradients/A.swift", "let a = Int.random(in: 0..<3)", kept: "let a = random(seed)"),
        Example("pure-core", "Sources/Reduction/A.swift", "let a = Thread(block: b)", kept: "/// Thread(s): one.\nlet a = workThread(b)"),
    ]
}
