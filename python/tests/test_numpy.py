"""Communicators and NumPy arrays, between processes of this machine."""

import signal
import unittest

from ranks import run


class NumPy(unittest.TestCase):
    def expect(self, world_size: int, name: str) -> None:
        for rank, (status, _, err) in enumerate(run(world_size, "numpy_programs.py", name, environment={"VERBENA_FABRIC": "shm"})):
            self.assertEqual(status, 0, f"rank {rank} of {world_size}, {name}: {err}")

    def test_collectives(self) -> None:
        for world_size in (1, 2, 3):
            self.expect(world_size, "collectives")

    def test_transfers(self) -> None:
        for world_size in (2, 4):
            self.expect(world_size, "transfers")

    def test_requests(self) -> None:
        self.expect(3, "requests")

    def test_arguments(self) -> None:
        self.expect(2, "arguments")

    def test_disagreement(self) -> None:
        self.expect(2, "disagreement")

    def test_death(self) -> None:
        results = run(3, "numpy_programs.py", "death")
        self.assertEqual(results[1][0], -signal.SIGKILL)
        for rank in (0, 2):
            self.assertEqual(results[rank][0], 0, results[rank][2])


if __name__ == "__main__":
    unittest.main()
