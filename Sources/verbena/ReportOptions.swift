import ArgumentParser
import CommandLineSupport
import Reports

/// What people may look at while and after a run.
struct ReportOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Also write a page to look at to this file, as HTML that needs no network.",
            discussion: "A time line of steps on all ranks, waiting by cause over the run, buckets, late ranks, loss and accuracy."))
    var report: String?

    @Option(help: "Also write a trace of all ranks to this file, for ui.perfetto.dev or chrome://tracing.")
    var trace: String?

    @Option(
        help: ArgumentHelp(
            "Serve figures while it runs, to Prometheus: http://ADDRESS/metrics, such as :9400 or 127.0.0.1:0.",
            discussion: """
                On loopback, unless an address is named: 0.0.0.0:9400 serves everybody. Each rank has a port of its own: that of ADDRESS and its number \
                on its machine; 0 lets the system choose. The heading says where each is.
                """, valueName: "address"),
        transform: {
            guard let address = MetricsAddress($0) else {
                throw ValidationError("give a port, as :9400, or one with an address in numbers, as 0.0.0.0:9400")
            }
            return address
        })
    var metrics: MetricsAddress?

    /// Asked before there are ranks.
    func checkFiles() throws { for path in [report, trace].compactMap(\.self) { try checkWritable(path) } }
}
