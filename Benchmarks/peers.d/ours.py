"""Our engine, in the loop that measures the peers: Benchmarks/PeerVerbena."""

import os

import children
from contestant import Contestant


class Ours(Contestant):
    key, title, is_peer, has_all = "verbena", "Verbena", False, True

    def __init__(self, cache, program):
        super().__init__(cache)
        self.program = program

    def problem(self, fabric):
        if not os.access(self.program, os.X_OK):
            return f"no release build ({self.program}): swift build -c release --product peer-verbena"
        return None

    def version(self):
        return children.run([self.program, "--version"], 20).output.strip()

    def command(self, job, setting):
        fabric = "verbs" if job.fabric == "rxe" else "shm"
        return [self.program, "--ranks", str(job.ranks), "--fabric", fabric, "--buffers", job.buffers], {}
