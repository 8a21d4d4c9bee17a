"""The monitored barrier of torch.distributed: rank 0 names the ranks that do not come. It uses torch's store, so that the group can be used afterwards."""

from __future__ import annotations

import time
from typing import Any, Callable, List

from .errors import StalledError

#: Between two questions to the store, which says nothing by itself: its own wait is late by a second (FileStore) or writes a warning (TCPStore).
_FIRST_PAUSE_SECONDS = 0.0005
_LONGEST_PAUSE_SECONDS = 0.02
_PASSED = b"passed"


class MonitoredBarrier:
    def __init__(self, store: Any, rank: int, size: int, look: Callable[[], None]) -> None:
        """Args:
            look: raises the job's error where it has ended.
        """
        self._store = store
        (self._rank, self._size) = (rank, size)
        self._look = look
        self._round = 0

    def wait(self, timeout: float, waits_for_all: bool) -> None:
        """Texts begin as torch's own do, for programs that look for these words."""
        key = f"verbena/monitored/{self._round}"
        self._round += 1
        end = time.monotonic() + timeout
        if self._rank:
            self._store.set(f"{key}/{self._rank}", "")
            if not self._comes(f"{key}/end", end) or bytes(self._store.get(f"{key}/end")) != _PASSED:
                raise StalledError(
                    f"Rank {self._rank} successfully reached monitoredBarrier, but received errors while waiting for send/recv from rank 0: a rank has not "
                    f"come within {timeout:g} s; rank 0 names it", 0)
            return
        if timeout <= 0 and self._size > 1:
            self._store.set(f"{key}/end", "failed")
            raise StalledError("Rank 0 timed out in monitoredBarrier: it was given no time; give some in timeout", 0)
        missing: List[int] = []
        for rank in range(1, self._size):
            if not self._comes(f"{key}/{rank}", end):
                missing.append(rank)
                if not waits_for_all:
                    break
        self._store.set(f"{key}/end", "failed" if missing else _PASSED)
        if missing:
            (s, those) = ("s", "those ranks are") if len(missing) > 1 else ("", "that rank is")
            ranks = f"Rank{s} {', '.join(map(str, missing))}"
            raise StalledError(f"{ranks} failed to pass monitoredBarrier in {timeout * 1000:g} ms; see what {those} doing", missing[0])
        # All have come here, so all have read what was said in the round before.
        for done in [f"{key}/{rank}" for rank in range(1, self._size)] + [f"verbena/monitored/{self._round - 2}/end"]:
            self._store.delete_key(done)

    def _comes(self, key: str, end: float) -> bool:
        pause = _FIRST_PAUSE_SECONDS
        while not self._store.check([key]):
            # A rank that has died is heard of by the job.
            self._look()
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return True
