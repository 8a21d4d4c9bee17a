"""Transfers between two ranks, with tags, for the torch backend."""

from __future__ import annotations

import ctypes
from typing import Callable, Dict, List, Optional, Tuple

import torch

from ._torch_work import Elements, VerbenaWork, Worker
from .communicator import TYPES, Communicator
from .errors import ConfigurationError


class Transfers:
    """A thread for each peer and direction, begun with the first transfer.

    A message is its tag and its size in bytes, then its bytes: what comes with another tag than is asked for waits in the stash.
    """

    def __init__(self, communicator: Communicator) -> None:
        self._communicator = communicator
        self._workers: Dict[Tuple[int, bool], Worker] = {}
        self._stash: Dict[Tuple[int, int], List[torch.Tensor]] = {}

    def send(self, tensors: List[torch.Tensor], destination: int, tag: int, timeout: Optional[float]) -> VerbenaWork:
        transfer = self._communicator.transfer

        def call() -> None:
            for tensor in tensors:
                lent = Elements(tensor, "send")
                head = torch.tensor([tag, lent.used.numel() * lent.used.element_size()], dtype=torch.int64)
                transfer("send", TYPES["int64"], head.data_ptr(), 2, destination, timeout)
                transfer("send", TYPES["uint8"], lent.place[0], int(head[1]), destination, timeout)

        return self._start(destination, True, tensors, call)

    def receive(self, tensors: List[torch.Tensor], source: int, tag: int, timeout: Optional[float]) -> VerbenaWork:
        def call() -> None:
            for tensor in tensors:
                lent = Elements(tensor, "recv", reads=False)
                self._receive(lent, source, tag, timeout)
                lent.store()

        return self._start(source, False, tensors, call)

    def _receive(self, lent: Elements, source: int, tag: int, timeout: Optional[float]) -> None:
        transfer = self._communicator.transfer
        wanted = lent.used.numel() * lent.used.element_size()
        early = self._stash.get((source, tag))
        if early:
            message = early.pop(0)
            self._check_size(message.numel(), wanted, source)
            ctypes.memmove(lent.place[0], message.data_ptr(), wanted)
            return
        head = torch.empty(2, dtype=torch.int64)
        while True:
            transfer("receive", TYPES["int64"], head.data_ptr(), 2, source, timeout)
            (found, size) = head.tolist()
            if found == tag and size == wanted:
                transfer("receive", TYPES["uint8"], lent.place[0], size, source, timeout)
                return
            message = torch.empty(size, dtype=torch.uint8)
            transfer("receive", TYPES["uint8"], message.data_ptr(), size, source, timeout)
            if found == tag:
                self._check_size(size, wanted, source)
            self._stash.setdefault((source, found), []).append(message)

    @staticmethod
    def _check_size(size: int, wanted: int, source: int) -> None:
        if size != wanted:
            raise ConfigurationError(f"recv: rank {source} has sent {size} bytes, and the tensor takes {wanted}; give both the same shape and type")

    def _start(self, peer: int, is_send: bool, tensors: List[torch.Tensor], call: Callable[[], None]) -> VerbenaWork:
        work = VerbenaWork(tensors, -1 if is_send else peer)
        worker = self._workers.setdefault((peer, is_send), Worker(f"verbena {'to' if is_send else 'from'} {peer}"))
        worker.start(work, call)
        return work

    def end(self) -> None:
        """Waits for what was given before, and ends the threads."""
        for worker in self._workers.values():
            worker.drain()
            worker.end()
