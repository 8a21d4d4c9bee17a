"""Our own rdma-allreduce, by its JSON."""

import json
import os

import children
from contestant import Contestant, Failed

FIRST_ITERATIONS, MOST_ITERATIONS = 5, 1_000_000


class Ours(Contestant):
    """It is run once a size and mode, with the iterations that its last run suggests."""

    key, title, is_peer = "verbena", "rdma-allreduce", False

    def __init__(self, cache, program):
        super().__init__(cache)
        self.program = program
        self.microseconds = {}

    def problem(self, fabric):
        if not os.access(self.program, os.X_OK):
            return f"no release build ({self.program}): swift build -c release --product rdma-allreduce"
        return None

    def build(self):
        self.help = children.run([self.program, "--help"], 20).output

    def version(self):
        return children.run([self.program, "--version"], 20).output.strip()

    @property
    def can_rewrite(self):
        return "--dirty" in self.help

    def measure(self, job, setting):
        return {(size, mode): self.measure_point(job, size, mode) for size in job.sizes for mode in job.modes}

    def measure_point(self, job, size, mode):
        key = (job.fabric, job.ranks, size, mode)
        iterations = FIRST_ITERATIONS
        if key in self.microseconds:
            iterations = min(MOST_ITERATIONS, max(FIRST_ITERATIONS, int(job.point_seconds * 1e6 / self.microseconds[key])))
        path = os.path.join(job.folder, "ours.json")
        fabric = "verbs" if job.fabric == "rxe" else "shm"
        command = [self.program, "--ranks", str(job.ranks), "--fabric", fabric, "-b", str(size), "-e", str(size)]
        # As measure.c does: an eighth of the calls to warm up. Sums are checked in the rehearsal, when nothing is known yet.
        command += ["-n", str(iterations), "-w", str(max(3, iterations // 8)), "-c", "0" if key in self.microseconds else "1"]
        command += ["--json", path]
        if mode == "dirty" and self.can_rewrite:
            command.append("--dirty")
        outcome = children.run(command, job.child_seconds)
        if outcome.problem():
            raise Failed(f"{size} bytes: {outcome.problem()}")
        with open(path, encoding="utf-8") as file:
            self.microseconds[key] = parse_ours(file.read(), size)
        return self.microseconds[key]


def parse_ours(text, size):
    """Microseconds of one call in place, out of rdma-allreduce's JSON."""
    for result in json.loads(text)["results"]:
        if result["bytes"] == size:
            return float(result["inPlace"]["microseconds"])
    raise Failed(f"no result of {size} bytes in its JSON")
