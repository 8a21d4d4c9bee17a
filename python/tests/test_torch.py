"""The torch.distributed backend, between processes of this machine. Skipped where torch is not installed."""

import importlib.util
import signal
import tempfile
import unittest

from ranks import run


@unittest.skipUnless(importlib.util.find_spec("torch"), "torch is not installed")
class Torch(unittest.TestCase):
    def expect(self, world_size: int, *arguments: str) -> None:
        for rank, (status, _, err) in enumerate(run(world_size, "torch_programs.py", *arguments)):
            self.assertEqual(status, 0, f"rank {rank} of {world_size}, {arguments[0]}: {err}")

    def test_collectives(self) -> None:
        for world_size in (1, 2, 3):
            self.expect(world_size, "collectives")

    def test_begun(self) -> None:
        for world_size in (1, 2, 3):
            self.expect(world_size, "begun")

    def test_uneven(self) -> None:
        for world_size in (1, 2, 3):
            self.expect(world_size, "uneven")

    def test_sparse(self) -> None:
        for world_size in (1, 2, 3):
            self.expect(world_size, "sparse")

    def test_monitored(self) -> None:
        for world_size in (2, 3):
            self.expect(world_size, "monitored")

    def test_debugged(self) -> None:
        """Where torch checks each call by a wrapper, which lets go of the backend."""
        for (rank, (status, _, err)) in enumerate(run(2, "torch_programs.py", "collectives", environment={"TORCH_DISTRIBUTED_DEBUG": "DETAIL"})):
            self.assertEqual(status, 0, f"rank {rank}: {err}")

    def test_disagreement(self) -> None:
        self.expect(2, "disagreement")

    def test_leaving(self) -> None:
        self.expect(2, "leaving")

    def test_exit_handlers(self) -> None:
        """What an exit handler of the program's own, registered before verbena was imported, may still do."""
        for what in ("queued", "handler"):
            for (rank, (status, out, err)) in enumerate(run(2, "exit_program.py", what)):
                self.assertEqual((status, out), (0, "left in order\n"), f"{what}, rank {rank}: {err}")

    def test_arguments(self) -> None:
        self.expect(2, "arguments")

    def test_shapes(self) -> None:
        self.expect(2, "shapes")

    def test_ddp(self) -> None:
        """The losses of Gloo to rounding, and the same bits every time and on every rank."""
        written = {}
        for (backend, buckets) in (("verbena", "own"), ("verbena", "view"), ("verbena", "at once"), ("gloo", "own")):
            results = run(2, "torch_programs.py", "ddp", backend, buckets)
            for (status, _, err) in results:
                self.assertEqual(status, 0, f"{backend}, {buckets}: {err}")
            self.assertEqual(results[0][1], results[1][1], f"ranks differ, {backend}")
            written[backend, buckets] = results[0][1].splitlines()
        for way in ("view", "at once"):
            self.assertEqual(written["verbena", "own"], written["verbena", way], way)
        (ours, theirs) = (written[backend, "own"][0].split() for backend in ("verbena", "gloo"))
        self.assertEqual(len(ours), 20)
        for (one, other) in zip(ours, theirs):
            self.assertAlmostEqual(float(one), float(other), delta=1e-4)

    def test_fsdp(self) -> None:
        """With memory of torch's, and with the backend's, in which a rank's part lies inside the whole."""
        for memory in ("torchs", "ours"):
            self.expect(2, "fsdp", memory)

    def test_zero(self) -> None:
        self.expect(2, "zero")

    def test_checkpoint(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.expect(2, "checkpoint", folder)

    def test_death(self) -> None:
        results = run(3, "torch_programs.py", "death")
        self.assertEqual(results[1][0], -signal.SIGKILL)
        for rank in (0, 2):
            self.assertEqual(results[rank][0], 0, results[rank][2])
            self.assertIn("rank 1", results[rank][1])


if __name__ == "__main__":
    unittest.main()
