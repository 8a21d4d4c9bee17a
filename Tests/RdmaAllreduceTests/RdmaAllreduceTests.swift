import CommandLineSupport
import Testing
import Verbena

@testable import rdma_allreduce

@Suite struct SizeSweepTests {
    @Test(arguments: [
        (SizeSweep(least: 4, most: 64, step: 1, factor: 2, elementBytes: 4), [1, 2, 4, 8, 16]),
        (SizeSweep(least: 0, most: 16, step: 1, factor: 2, elementBytes: 4), [0, 1, 2, 4]),
        (SizeSweep(least: 0, most: 0, step: 1, factor: 2, elementBytes: 4), [0]),
        (SizeSweep(least: 10, most: 30, step: 10, factor: nil, elementBytes: 8), [1, 2, 3]),
        (SizeSweep(least: 1 << 62, most: .max, step: 1, factor: 4, elementBytes: 4), [1 << 60]),
    ])
    func sizes(sweep: SizeSweep, counts: [Int]) { #expect(sweep.elementCounts == counts) }

    @Test("a block for each rank: the count is that of one block, the size that of all")
    func blocks() throws {
        let arguments = ["--collective", "allgather", "-b", "0", "-e", "1000", "-f", "3"]
        let command = try #require(try parse(RdmaAllreduce.self, arguments) as? RdmaAllreduce)
        #expect(command.counts(.float32, ranks: 5) == [0, 1, 3, 9, 27])
        #expect(command.counts(.int64, ranks: 2) == [0, 1, 3, 9, 27])
        let barrier = try #require(try parse(RdmaAllreduce.self, ["--collective", "barrier"]) as? RdmaAllreduce)
        #expect(barrier.counts(.float32, ranks: 5) == [0])
    }
}

@Suite struct OptionAgreementTests {
    private func difference(_ arguments: [[String]]) throws -> String? {
        let ranks = try arguments.map { arguments in
            try #require(try parse(RdmaAllreduce.self, arguments) as? RdmaAllreduce).agreedOptions(worldSize: 4)
        }
        return OptionAgreement(ranks: ranks).difference
    }

    /// What the calls depend on.
    @Test(arguments: [
        (["-n", "50"], "-n 50, rank 0 with -n 20"), (["-b", "8"], "-b 8, rank 0 with -b"), (["-f", "2"], "-f 2, rank 0 with -i 1048576"),
        (["-d", "half"], "-d half"), (["-o", "max"], "-o max"),
        (["--collective", "broadcast"], "--collective broadcast, rank 0 with --collective all"),
        (["--algorithm", "ring"], "--algorithm ring, rank 0 with --algorithm of its own choice"),
        (["--overlap"], "--overlap on, rank 0 with --overlap off"),
        (["-w", "0"], "-w 0"), (["-m", "2"], "-m 2"), (["-c", "0"], "-c 0"), (["-N", "2"], "-N 2"), (["-M", "1"], "-M on"),
        (["-I", "1"], "-I on"),
    ])
    func aDifferenceIsNamed(arguments: [String], words: String) throws {
        let found = try difference([[], [], arguments, []])
        #expect(found?.hasPrefix("rank 2 was started with ") == true && found?.contains(words) == true, "\(String(describing: found))")
    }

    /// Where results go, and what rank 0 alone shows.
    @Test(arguments: [["-J", "x.json"], ["--plot", "x.svg"], ["-S", "1"], ["-T", "5"], ["--fabric", "shm"]])
    func whatRanksMayDifferInIsNone(arguments: [String]) throws { #expect(try difference([[], arguments]) == nil) }
}

@Suite struct OptionTests {
    @Test(arguments: [
        ["-f", "1"], ["-i", "0"], ["-b", "64", "-e", "32"], ["-n", "-1"], ["-n", "0"], ["-w", "-1"], ["-c", "-1"], ["-m", "0"],
        ["-m", "65"], ["-a", "4"], ["-a", "-1"], ["-r", "-2"], ["-r", "x"], ["-d", "float128"], ["-o", "xor"], ["-b", "12Q"],
        ["--collective", "allscatter"], ["--algorithm", "magic"], ["--queue-pairs", "0"], ["--lanes", "-1"], ["--bogus"], ["word"],
        ["--ranks", "0"], ["--collective", "sendrecv", "--algorithm", "ring"],
        ["--collective", "sendrecv", "--explain"], ["--collective", "barrier", "--plot", "x.svg"],
        ["--ranks", "2", "--collective", "broadcast", "-r", "2"], ["-S", "2"], ["-S", "x"], ["-n", "1000000001"], ["-w", "1000000001"],
        ["-c", "1000000001"], ["--receive-buffers", "-1"], ["-N", "-1"], ["-T", "-1"], ["-M", "2"], ["-I", "2"],
        ["-K", "1"], ["-I", "1", "-n", "5", "-K", "5"], ["-I", "1", "-n", "10001"], ["--percentiles", "-n", "10001"],
    ])
    func mistakesAreUsageErrorsWithARemedy(arguments: [String]) throws {
        let failure = try #require(throws: Failure.self) { _ = try parse(RdmaAllreduce.self, arguments) }
        #expect(failure.status == ExitStatus.usage)
        #expect(failure.description.contains("--help") || failure.description.contains("give a rank"))
    }

    private func parsed(_ line: String) throws -> RdmaAllreduce {
        try #require(try parse(RdmaAllreduce.self, line.split(separator: " ").map(String.init)) as? RdmaAllreduce)
    }

    @Test func optionsOfNCCLTestsAreKnown() throws {
        let command = try parsed("-b 8 -e 1M -f 2 -n 5 -w 2 -m 3 -c 0 -d double -o avg -r 1 -a 3 -S -J x.json")
        #expect(command.sizes.least.value == 8 && command.sizes.maxBytes == 1 << 20 && command.sizes.factor == 2)
        #expect(command.subject.types == [.float64] && command.subject.operations == [.average])
        #expect(command.reports.timestamps && command.reports.json == "x.json")
        #expect(command.method == Method(iterations: 5, warmups: 2, aggregated: 3, checks: 0, timeOf: .slowest))
    }

    @Test func longOptionsOfNCCLTestsAreKnown() throws {
        let command = try parsed(
            "--minbytes 8 --maxbytes 16 --stepbytes 4 --iters 5 --warmup_iters 2 --agg_iters 3 --check 2 --datatype half --op max --root 1 "
                + "--average 0 --report_timestamps --output_file x.json")
        #expect(command.sizes.step.value == 4 && command.subject.types == [.float16] && command.subject.operations == [.maximum])
        #expect(command.reports.timestamps && command.reports.json == "x.json" && command.subject.root == .rank(1))
        #expect(command.method == Method(iterations: 5, warmups: 2, aggregated: 3, checks: 2, timeOf: .firstRank))
    }

    @Test("what asks for what is done anyway is taken, also with its value joined on")
    func neighboursOptions() throws {
        let line = "-b4G -f2 -g1 -e 4G -t 1 -p 0 -z 0 -G 0 -C 0 -R 1 -T 30 -N 2 -S 1 -y 0 -u 0 -M 1 -I 0 -K 0 -D 0 -n5 -c1 -w0"
        let command = try parsed(line)
        #expect(command.sizes.least.value == 4 << 30 && command.sizes.factor == 2 && command.timing.iterations == 5)
        #expect(command.timing.timeoutSeconds == 30 && command.timing.cycles == 2)
        #expect(command.reports.timestamps && command.reports.wantsMemory && !command.reports.wantsIterations)
        let long = try parsed(
            "--ngpus 1 --nthreads 1 --parallel_init 1 --blocking 0 --cudagraph 0 --report_cputime 0 --local_register 0 --timeout 0 "
                + "--run_cycles 0 --report_timestamps 0 --stream_null 0 --unalign 0 --memory 0 --per_iter_timing 1 --per_iter_skip 3 "
                + "--device_implementation 0")
        #expect(long.timing.cycles == 0 && !long.reports.timestamps && !long.reports.wantsMemory)
        #expect(try parsed("--percentiles").method.wantsIterations && !parsed("--percentiles").reports.showsIterations)
        #expect(long.method.wantsIterations && long.method.skippedIterations == 3)
        #expect(try parsed("-S").reports.timestamps && !parsed("").reports.timestamps)
        #expect(try parsed("-S -b 8").reports.timestamps)
    }

    @Test(
        "what there is no choice of is refused with the reason and the value to give",
        arguments: [
            ("-g 8", "-g 8: a rank is a process here; give -g 1, and --ranks"), ("-g8", "-g 8: "),
            ("-t 2", "-t 2: a rank is a process here; give -t 1"),
            ("-p 2", "-p 2: "), ("-z 1", "-z 1: calls follow each other without a barrier here; give -z 0"), ("-y 1", "-y 1: "),
            ("-G 20", "-G 20: there are no graphs here; give -G 0"), ("-C 1", "-C 1: "), ("-R 2", "-R 2: "), ("-u 1", "-u 1: "),
            ("-D 1", "-D 1: "),
            ("-g -1", "-g -1: "),
        ])
    func refusedOptions(line: String, start: String) throws {
        let failure = try #require(throws: Failure.self) { _ = try parsed(line) }
        #expect(failure.status == ExitStatus.usage && failure.description.hasPrefix(start))
    }

    @Test func allOfATypeReductionOrRoot() throws {
        let command = try parsed("--collective reduce -d all -o all -r all")
        #expect(command.subject.types == ElementType.allCases && command.subject.operations == ReductionOperation.allCases)
        #expect(command.subject.roots(worldSize: 3) == [0, 1, 2])
        #expect(try parsed("--collective reduce -r -1").subject.root == .all)
        let plain = try parsed("--collective allgather -o all -r all")
        #expect(plain.subject.operations.count == 1 && plain.subject.roots(worldSize: 3) == [0])
    }

    @Test func collectivesGoBySeveralNames() {
        #expect(CollectiveKind.allCases.allSatisfy { CollectiveKind(name: $0.rawValue) == $0 })
        #expect(CollectiveKind(name: "all_reduce") == .allReduce && CollectiveKind(name: "Reduce-Scatter") == .reduceScatter)
        #expect(ElementType(name: "FP16") == .float16 && ElementType(name: "bf16") == .bfloat16 && ElementType(name: "int9") == nil)
        #expect(ElementType.allCases.allSatisfy { ElementType(name: $0.name) == $0 })
        #expect(ReductionOperation(name: "average") == .average && ReductionOperation(name: "prod") == .product)
    }

    @Test func whatNeedsTheClockAroundEachCall() {
        #expect(!Method().timesSingleCalls && !Method().rewrites)
        #expect(Method(isDirty: true).timesSingleCalls && Method(isDirty: true).rewrites)
        #expect(Method(wantsIterations: true).timesSingleCalls && !Method(wantsIterations: true).rewrites)
        #expect(Method(wantsStragglers: true).rewrites)
    }
}

@Suite struct CollectiveKindTests {
    @Test("factors of nccl-tests")
    func busFactors() {
        let factors = CollectiveKind.allCases.map { ($0, $0.busFactor(ranks: 4)) }
        for (kind, factor) in factors {
            switch kind {
            case .allReduce: #expect(factor == 1.5)
            case .reduceScatter, .allGather, .allToAll, .gather, .scatter: #expect(factor == 0.75)
            case .broadcast, .reduce, .sendReceive: #expect(factor == 1)
            case .barrier: #expect(factor == 0)
            }
        }
        #expect(CollectiveKind.allReduce.busFactor(ranks: 1) == 0)
    }

    @Test("input and result lie within the buffer, in place too", arguments: CollectiveKind.allCases, 1...5)
    func extents(kind: CollectiveKind, ranks: Int) {
        for root in 0..<ranks {
            for rank in 0..<ranks {
                for inPlace in [false, true] {
                    let extents = kind.extents(ranks: ranks, root: root, inPlace: inPlace)
                    for blocks in [extents.input(of: rank), extents.output(of: rank)] {
                        #expect(blocks.lowerBound >= 0 && blocks.upperBound <= kind.blocks(ranks: ranks))
                        if !inPlace { #expect(blocks.lowerBound == 0) }
                    }
                }
            }
            let extents = kind.extents(ranks: ranks, root: root, inPlace: false)
            let givers = (0..<ranks).filter { !extents.input(of: $0).isEmpty }
            let takers = (0..<ranks).filter { !extents.output(of: $0).isEmpty }
            #expect(givers == (kind == .barrier ? [] : kind == .broadcast || kind == .scatter ? [root] : Array(0..<ranks)))
            #expect(takers == (kind == .barrier ? [] : kind == .reduce || kind == .gather ? [root] : Array(0..<ranks)))
        }
    }
}
