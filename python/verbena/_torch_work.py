"""What the torch backend is made of: tensors as memory, operations on their way, and the threads that carry them out."""

from __future__ import annotations

import queue
import threading
from datetime import timedelta
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch
from torch._C._distributed_c10d import Work as _Work

from .communicator import TYPES
from .errors import ConfigurationError

#: The library's type of a tensor's elements, and how many of it make one.
DTYPES: Dict[torch.dtype, Tuple[int, int]] = {
    torch.float32: (TYPES["float32"], 1), torch.float64: (TYPES["float64"], 1), torch.float16: (TYPES["float16"], 1),
    torch.bfloat16: (TYPES["bfloat16"], 1), torch.int8: (TYPES["int8"], 1), torch.int16: (TYPES["int16"], 1),
    torch.int32: (TYPES["int32"], 1), torch.int64: (TYPES["int64"], 1), torch.uint8: (TYPES["uint8"], 1), torch.bool: (TYPES["uint8"], 1),
    torch.complex64: (TYPES["float32"], 2), torch.complex128: (TYPES["float64"], 2),
}
for _name in ("uint16", "uint32", "uint64"):
    if hasattr(torch, _name):
        DTYPES[getattr(torch, _name)] = (TYPES[_name], 1)


def seconds(timeout: Any) -> Optional[float]:
    """None where it is unset, which torch says by a negative number."""
    if timeout is None:
        return None
    bound = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    return bound if bound > 0 else None


class DoneWork(_Work):
    """An operation that was carried out by the caller's thread, which would have got its error: so it costs next to nothing."""

    def __init__(self, tensors: List[torch.Tensor]) -> None:
        super().__init__()
        self._tensors = tensors

    def wait(self, timeout: Any = None) -> bool:
        return True

    def result(self) -> List[torch.Tensor]:
        return self._tensors

    def get_future(self) -> torch.futures.Future:
        future: torch.futures.Future = torch.futures.Future()
        future.set_result(self._tensors)
        return future


class VerbenaWork(_Work):
    """An operation, done or on its way."""

    def __init__(self, tensors: List[torch.Tensor], source: int = -1) -> None:
        super().__init__()
        self._tensors = tensors
        self._source = source
        self._error: Optional[BaseException] = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._future: Optional[torch.futures.Future] = None

    def _end(self, error: Optional[BaseException] = None) -> None:
        with self._lock:
            self._error = error
            self._ended.set()
            future = self._future
        if future is not None:
            self._settle(future)

    def _settle(self, future: torch.futures.Future) -> None:
        if self._error is not None:
            future.set_exception(self._error)  # type: ignore[arg-type]
        else:
            future.set_result(self._tensors)

    def wait(self, timeout: Any = None) -> bool:
        if not self._ended.wait(seconds(timeout)):
            raise TimeoutError("verbena: the operation has not ended within the time that wait was given; it goes on")
        if self._error is not None:
            raise self._error
        return True

    def synchronize(self) -> None:
        self.wait()

    def is_completed(self) -> bool:
        return self._ended.is_set()

    def is_success(self) -> bool:
        return self._ended.is_set() and self._error is None

    def exception(self) -> Optional[BaseException]:
        return self._error

    def result(self) -> List[torch.Tensor]:
        self.wait()
        return self._tensors

    def source_rank(self) -> int:
        return self._source

    _source_rank = source_rank

    def get_future(self) -> torch.futures.Future:
        with self._lock:
            if self._future is None:
                self._future = torch.futures.Future()
                if self._ended.is_set():
                    self._settle(self._future)
            return self._future


class Worker:
    """A thread that carries out what it is given, in order; begun with the first."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: "queue.SimpleQueue[Optional[Tuple[VerbenaWork, Callable[[], None]]]]" = queue.SimpleQueue()
        self._thread: Optional[threading.Thread] = None
        self._last: Optional[VerbenaWork] = None

    def start(self, work: VerbenaWork, call: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._last = work
        self._queue.put((work, call))

    def drain(self) -> None:
        """Waits for what was given before, whose errors are its own callers'."""
        if self._last is not None:
            self._last._ended.wait()
            self._last = None

    def end(self) -> None:
        if self._thread is not None:
            self._queue.put(None)

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            carry_out(*item)
            # A tensor must not stay because the thread's names still hold it.
            del item


def carry_out(work: VerbenaWork, call: Callable[[], None]) -> None:
    error: Optional[BaseException] = None
    try:
        with torch.no_grad():
            call()
    except BaseException as raised:  # noqa: BLE001, it is handed on
        error = raised
    work._end(error)


class Elements:
    """A tensor's memory as elements of the library: its own where that is contiguous, else a copy's."""

    __slots__ = ("tensor", "used", "code", "count", "place")

    def __init__(self, tensor: torch.Tensor, call: str, reads: bool = True) -> None:
        if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
            raise ConfigurationError(
                f"{call}: a {tensor.layout} tensor on {tensor.device}; the backend verbena takes dense CPU tensors: move it there, or give its "
                'device another backend ("cpu:verbena,cuda:nccl")')
        known = DTYPES.get(tensor.dtype)
        if known is None:
            raise ConfigurationError(f"{call}: tensors of {tensor.dtype} are not exchanged; give one of {', '.join(map(str, DTYPES))}")
        self.tensor = tensor
        if tensor.is_contiguous() and not tensor.is_conj() and not tensor.is_neg():
            self.used = tensor
        else:
            self.used = tensor.contiguous().resolve_conj().resolve_neg() if reads else torch.empty(tensor.shape, dtype=tensor.dtype)
            if self.used is tensor:
                self.used = tensor.clone()
        self.code = known[0]
        self.count = tensor.numel() * known[1]
        self.place = (self.used.data_ptr(), self.count)

    def store(self) -> None:
        """What has come is in the tensor, and autograd knows that it has changed."""
        if self.used is not self.tensor:
            self.tensor.copy_(self.used)
        else:
            torch._C._autograd._unsafe_set_version_counter((self.tensor,), (self.tensor._version + 1,))
