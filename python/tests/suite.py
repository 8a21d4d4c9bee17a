"""PyTorch's own suite for backends, with the backend verbena: PYTHON suite.py [--filter REGEX] [--world N] [--backend NAME]

Runs the tests of ``torch.testing._internal.distributed.distributed_test`` between N processes of this machine (2 by itself), each with 60 seconds, and says
for each one: ``passed``, ``failed`` with the last line of the error, ``skipped`` with PyTorch's reason, or ``not applicable`` with ours. Exits with 1 where
one has failed.

The suite chooses tests by the backend's name. What it has for CPU tensors of Gloo or MPI only is run as well: the tests are defined under each of these
names in turn, and whatever is skipped under ours is taken from another one. ``--backend gloo`` runs the same with Gloo, to see what fails there, too.

Needs PyTorch 2.15, expecttest and hypothesis. What a failed test has written is in the folder that is named at the end.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import os
import re
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Dict, List, Tuple

LIMIT_SECONDS = 60
#: By the name of a test, why it says nothing about this backend. A name may end in ``*``.
NOT_APPLICABLE: Dict[str, str] = {
    "test_send_recv_any_source*": "receives from any rank are missing; PyTorch would not take the sender from a backend in Python",
    "test_isend*": "asks is_completed(), which PyTorch answers by itself for a backend in Python, and always with False",
    "test_irecv": "asks is_completed(), which PyTorch answers by itself for a backend in Python, and always with False",
    "test_ddp_logging_data_cpu": "wants the backend's name, where PyTorch says 'custom' for all but its own",
    "test_barrier_timeout_full_group": "the barrier fails in time, with other words than Gloo's",
    "test_barrier_timeout_g*": "the barrier fails in time, with other words than Gloo's",
}
#: Tests that look at the name while they run, to put the model on the CPU for Gloo and MPI only.
NEEDS_KNOWN_NAME = "test_accumulate_gradients_no_sync"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="", help="a regular expression, of names of tests")
    parser.add_argument("--world", type=int, default=2, help="the number of processes")
    parser.add_argument("--backend", default="verbena")
    return parser.parse_args()


def environment(world: int) -> None:
    os.environ.update(
        WORLD_SIZE=str(world), TEMP_DIR=tempfile.gettempdir(), DISTRIBUTED_TESTS_DEFAULT_TIMEOUT=str(LIMIT_SECONDS), MASTER_ADDR="127.0.0.1",
        VERBENA_FABRIC="shm", OMP_NUM_THREADS="1", TORCH_DEVICE_BACKEND_AUTOLOAD="0",
        INIT_METHOD="file://")


def skips(test: Any) -> bool:
    return getattr(test, "__unittest_skip__", False)


def suite(backend: str) -> Tuple[Any, Any]:
    """The module of the suite, and its tests: as many as can be run with ``backend``."""
    from torch.testing._internal import common_distributed

    common_distributed.TIMEOUT_OVERRIDE.clear()
    common_distributed.logger.setLevel("WARNING")
    for feature in ("ddp", "subgroup", "plugin", "gpu", "cuda"):
        common_distributed.DistTestCases.backend_feature[feature].add(backend)
    module: Any = None
    tests: Dict[str, Any] = {}
    # Tests look their names up in the module, which is one: what was defined under another name is run under the last, ours.
    for name in ("gloo", "mpi", backend):
        os.environ["BACKEND"] = name
        module = importlib.reload(module) if module else importlib.import_module("torch.testing._internal.distributed.distributed_test")
        for (test, function) in vars(module.DistributedTest._DistTestBase).items():
            if test.startswith("test_") and (test not in tests or not skips(function) or skips(tests[test])):
                tests[test] = function
    # Tests with groups of some ranks want eight, or MPI by this variable; four are enough.
    if int(os.environ["WORLD_SIZE"]) >= 4:
        os.environ["BACKEND"] = "mpi"
    return module, tests


def case(module: Any, tests: Dict[str, Any], backend: str, logs: Path) -> Any:
    """The class of the tests. Its processes are forks of this one, which saves each of them the import of PyTorch."""
    import torch

    class Suite(module.TestDistBackend, module.DistributedTest._DistTestBase):  # type: ignore[misc, name-defined]
        def setUp(self) -> None:
            super().setUp()
            self._start_processes(torch.multiprocessing.get_context("fork").Process)

        def tearDown(self) -> None:
            processes = self.processes
            super().tearDown()
            for process in processes:
                process.join(5)
                if process.exitcode is None:
                    process.kill()
                    process.join()
            Path(self.file_name).unlink(missing_ok=True)

        @classmethod
        def _run(cls, rank: int, test_name: str, *arguments: Any, **others: Any) -> None:
            log = os.open(logs / f"{test_name}.{rank}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(log, 1)
            os.dup2(log, 2)
            if backend == "verbena":
                importlib.import_module("verbena.torch")
            module.INIT_METHOD = os.environ["INIT_METHOD"]
            module.MultiProcessTestCase.run_test.__globals__["logger"].setLevel("INFO")
            super()._run(rank, test_name, *arguments, **others)

        def run_test(self, test_name: str, *arguments: Any) -> None:
            # The group is made by now.
            if test_name.startswith(NEEDS_KNOWN_NAME):
                module.BACKEND = "gloo"
            super().run_test(test_name, *arguments)

    for (name, function) in tests.items():
        setattr(Suite, name, function)
    return Suite


class Result(unittest.TestResult):
    """Writes a line for each test when it has ended."""

    def __init__(self, logs: Path) -> None:
        super().__init__()
        self._logs = logs
        self._began = 0.0
        self.rows: List[Tuple[str, str, str]] = []

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._began = time.monotonic()

    def _say(self, test: unittest.TestCase, outcome: str, why: str = "") -> None:
        name = test.id().rpartition(".")[2]
        self.rows.append((outcome, name, why))
        print(f"{outcome:<15} {name}  {time.monotonic() - self._began:.1f} s{': ' if why else ''}{why}", flush=True)
        if outcome != "failed":
            for log in self._logs.glob(f"{name}.*"):
                log.unlink()

    def addSuccess(self, test: unittest.TestCase) -> None:
        self._say(test, "passed")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._say(test, "skipped", reason)

    def addFailure(self, test: unittest.TestCase, error: Any) -> None:
        text = str(error[1]).strip()
        (self._logs / f"{test.id().rpartition('.')[2]}.error").write_text(text)
        lines = [line for line in text.splitlines() if re.match(r"(\w+\.)*\w*(Error|Exception|Timeout)\b", line)]
        self._say(test, "failed", lines[-1] if lines else text.splitlines()[0] if text else str(error[0]))

    addError = addFailure


def reason(name: str) -> str:
    for (pattern, why) in NOT_APPLICABLE.items():
        if name == pattern or pattern.endswith("*") and name.startswith(pattern[:-1]):
            return why
    return ""


def main() -> int:
    chosen = options()
    environment(chosen.world)
    (module, tests) = suite(chosen.backend)
    logs = Path(tempfile.mkdtemp(prefix="verbena-suite-"))
    made = case(module, tests, chosen.backend, logs)
    result = Result(logs)
    for name in sorted(tests):
        if not re.search(chosen.filter, name):
            continue
        why = reason(name) if chosen.backend == "verbena" else ""
        if why:
            result.rows.append(("not applicable", name, why))
            print(f"not applicable  {name}: {why}")
        else:
            made(name).run(result)
    print()
    for (outcome, count) in sorted(collections.Counter(outcome for (outcome, _, _) in result.rows).items()):
        print(f"{count:5} {outcome}")
        whys = collections.Counter(why for (found, _, why) in result.rows if found == outcome != "failed" and why)
        for (why, times) in whys.most_common():
            print(f"      {times:5} {why}")
    failed = [name for (outcome, name, _) in result.rows if outcome == "failed"]
    if failed:
        print(f"what they have written: {logs}")
        return 1
    for rest in logs.iterdir():
        rest.unlink()
    logs.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main())
