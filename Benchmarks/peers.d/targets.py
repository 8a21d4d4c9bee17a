"""What must be shown, as data, and the verdict on each figure."""

import dataclasses

from settings import KIB, MIB


@dataclasses.dataclass(frozen=True)
class Target:
    """`threshold` is the least ratio of our bandwidth to that of `against`: best (the best peer), bound or limit.

    With `strictly` the ratio has to be above it.
    """

    fabric: str
    ranks: int
    bytes: int
    mode: str
    against: str
    threshold: float
    strictly: bool = False


# No slower than 1.1 times the best peer.
NEARLY = round(1 / 1.1, 3)
FROM_16_KIB = tuple(16 * KIB << (2 * step) for step in range(7))

TARGETS = (
    Target("shm", 2, 64 * MIB, "dirty", "best", 1.3),
    Target("shm", 2, 64 * MIB, "dirty", "bound", 0.85),
    Target("shm", 2, MIB, "dirty", "best", 2.2),
    Target("shm", 2, 256 * KIB, "dirty", "best", 2.2),
    Target("shm", 2, 16 * KIB, "dirty", "best", 1.0, strictly=True),
    Target("shm", 2, 8, "dirty", "best", NEARLY),
    # Rewriting 8 bytes means nothing to speak of; timing each call by itself costs as much as the call.
    Target("shm", 2, 8, "warm", "best", NEARLY),
    *(Target("shm", 4, size, "dirty", "best", 1.0, strictly=True) for size in FROM_16_KIB),
    Target("shm", 4, 8, "dirty", "best", 1.0),
    Target("shm", 4, 8, "warm", "best", 1.0),
    Target("rxe", 2, 16 * MIB, "dirty", "limit", 0.95),
    Target("rxe", 2, 16 * MIB, "dirty", "best", 1.0, strictly=True),
    Target("rxe", 2, 4 * KIB, "dirty", "best", 1.0, strictly=True),
    Target("rxe", 4, 16 * MIB, "dirty", "limit", 0.95),
    Target("rxe", 4, 16 * MIB, "dirty", "best", 1.0, strictly=True),
    Target("rxe", 4, 4 * KIB, "dirty", "best", 1.0, strictly=True),
)


def least_of_peers(collective, size):
    """The least ratio of our bandwidth to the best peer's that a collective should have, in place or not."""
    if collective == "broadcast" and size >= 16 * MIB:
        return 1.7
    return 1.2 if size >= 64 * KIB else 1.0


def verdict(target, ratio):
    """One of: yes, no, not measured."""
    if ratio is None:
        return "not measured"
    return "yes" if (ratio > target.threshold if target.strictly else ratio >= target.threshold) else "no"
