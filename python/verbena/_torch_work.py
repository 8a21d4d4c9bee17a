"""What the torch backend is made of: tensors as memory, operations on their way, and the threads that carry them out."""

from __future__ import annotations

import atexit
import collections
import queue
import threading
import time
import weakref
from datetime import timedelta
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch
from torch.autograd.graph import increment_version
from torch._C._distributed_c10d import Work as _Work

from .communicator import TYPES, Request
from .errors import ConfigurationError, VerbenaError

_IN_VAIN = "verbena: the operation has not ended within the time that wait was given; it goes on"
#: Futures are seldom asked for: one lock for all.
_FUTURES = threading.Lock()
_MOST_BEGUN = 256
_MOMENT_SECONDS = 1
_GLANCE_SECONDS = 0.01

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


class _Promise:
    """A future and its other end. ``set_exception`` of torch's would not do: who takes the future from C++, as DDP does, is given the error as if it were the result."""

    __slots__ = ("_inner", "future")

    def __init__(self) -> None:
        self._inner: torch.futures.Future = torch.futures.Future()
        self.future = self._inner.then(_kept)

    def keep(self, tensors: List[torch.Tensor], error: Optional[BaseException]) -> None:
        self._inner.set_result(tensors if error is None else error)


def _kept(inner: torch.futures.Future) -> List[torch.Tensor]:
    result = inner.value()
    if isinstance(result, BaseException):
        raise result
    return result


class VerbenaWork(_Work):
    """An operation, on its way or ended. ``_end`` says that it has ended, and gives the promise that is still to be kept."""

    def __init__(self, tensors: List[torch.Tensor], source: int = -1) -> None:
        super().__init__()
        self._tensors = tensors
        self._source = source
        self._error: Optional[BaseException] = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._promise: Optional[_Promise] = None

    def _end(self, error: Optional[BaseException] = None) -> Optional[_Promise]:
        with self._lock:
            self._error = error
            self._ended.set()
            return self._promise

    def wait(self, timeout: Any = None) -> bool:
        if not self._ended.wait(seconds(timeout)):
            raise TimeoutError(_IN_VAIN)
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
            if self._promise is None:
                self._promise = _Promise()
                if self._ended.is_set():
                    self._promise.keep(self._tensors, self._error)
            return self._promise.future


class BegunWork(_Work):
    """An operation that the library carries out by itself. Who waits for it asks the library; a thread does so only for a future."""

    def __init__(self, tensors: List[torch.Tensor], request: Request, places: Tuple[Tuple[int, int], ...], settler: "Worker") -> None:
        super().__init__()
        self._tensors = tensors
        self._request = request
        self._places = places
        self._settler = settler
        self._promise: Optional[_Promise] = None

    def wait(self, timeout: Any = None) -> bool:
        if not self._request.wait(seconds(timeout)):
            raise TimeoutError(_IN_VAIN)
        return True

    def synchronize(self) -> None:
        self.wait()

    def is_completed(self) -> bool:
        return self._request.is_done()

    def is_success(self) -> bool:
        return self.is_completed() and self.exception() is None

    def exception(self) -> Optional[BaseException]:
        try:
            self._request.wait(0)
        except VerbenaError as error:
            return error
        return None

    def result(self) -> List[torch.Tensor]:
        self.wait()
        return self._tensors

    def get_future(self) -> torch.futures.Future:
        with _FUTURES:
            if self._promise is None:
                self._promise = _Promise()
                self._settler.start(self, self._request.wait)
            return self._promise.future

    def _end(self, error: Optional[BaseException] = None) -> Optional[_Promise]:
        return self._promise


class Worker:
    """A thread that carries out what it is given, in order; begun with the first.

    When the interpreter ends it ends every thread that wants it again, wherever that is; inside torch's code that would be the end of the process by a
    signal, in the library's it does no harm. So an operation, from its first look at a tensor to the last future that is told, is carried out under a lock,
    which is taken for good when exit handlers run. Those of the program may come later, begin operations and wait for them: these go on without it, and
    end, but no future is told.
    """

    _all: "weakref.WeakSet[Worker]" = weakref.WeakSet()
    _is_over = False
    #: What was carried out since then, with its tensors.
    _kept: List[Any] = []

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: "queue.SimpleQueue[Optional[Tuple[Any, Callable[[], Any]]]]" = queue.SimpleQueue()
        self._thread: Optional[threading.Thread] = None
        self._last: Any = None
        self._busy = threading.Lock()
        Worker._all.add(self)

    @classmethod
    def stop(cls) -> None:
        """At its place among the exit handlers. What is being done has a moment to come through, all together: it may wait for others, then in the library."""
        end = time.monotonic() + _MOMENT_SECONDS
        for worker in list(cls._all):
            while worker._busy.acquire(timeout=max(0, end - time.monotonic())) and not worker.is_idle() and time.monotonic() < end:
                worker._busy.release()
                time.sleep(_GLANCE_SECONDS)
        cls._is_over = True

    def start(self, work: "VerbenaWork | BegunWork", call: Callable[[], Any]) -> None:
        """Carries out ``call`` on the thread, and tells ``work`` how it has ended."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._last = work
        self._queue.put((work, call))

    def is_idle(self) -> bool:
        """Whether everything that was given has ended."""
        return self._last is None or self._last.is_completed()

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
            (work, call) = item
            is_guarded = self._may_begin()
            error = carry_out(call)
            # A tensor must not stay because the thread's names still hold it. What they are the last to hold is given back inside torch as well.
            promise = work._end(error)
            if not is_guarded:
                Worker._kept.append((item, error, promise))
                continue
            if promise is not None:
                promise.keep(work._tensors, error)
            del item, work, call, error, promise
            self._busy.release()

    def _may_begin(self) -> bool:
        """Whether the thread has the lock now; never again once that is taken for good."""
        while not Worker._is_over:
            if self._busy.acquire(timeout=_GLANCE_SECONDS):
                return True
        return False


class Begun:
    """What this rank has begun and the library carries out, several at once. Keeps each operation, with its tensors, until it has ended: its caller may have
    let it go. Where two have memory in common, as torch allows, the second must not begin before the first has ended. Threads: one at a time."""

    def __init__(self) -> None:
        self._works: "collections.deque[BegunWork]" = collections.deque()
        self._settler = Worker("verbena futures")

    def has_room(self) -> bool:
        """Lets go what has ended. The library has 512 places for operations on their way, and a work that nobody has waited for keeps its place."""
        while self._works and self._works[0].is_completed():
            self._works.popleft().exception()
        return len(self._works) < _MOST_BEGUN

    def overlaps(self, places: Tuple[Tuple[int, int], ...]) -> bool:
        """Whether some of this memory, from an address on and to another, is that of an operation that has not ended."""
        return any(
            start < other_end and other < end and not work.is_completed()
            for work in self._works for (other, other_end) in work._places for (start, end) in places)

    def work(self, tensors: List[torch.Tensor], request: Request, places: Tuple[Tuple[int, int], ...]) -> BegunWork:
        work = BegunWork(tensors, request, places, self._settler)
        self._works.append(work)
        return work

    def settle(self) -> None:
        """Waits for what was begun before, whose errors are its own callers'."""
        while self._works:
            try:
                self._works[0]._request.wait()
            except VerbenaError:
                pass
            self._works.popleft()

    def end(self) -> None:
        """After everything has ended."""
        self._works.clear()
        self._settler.end()


atexit.register(Worker.stop)


def carry_out(call: Callable[[], Any]) -> Optional[BaseException]:
    """Gives what has been raised."""
    try:
        with torch.no_grad():
            call()
    except BaseException as raised:  # noqa: BLE001, it is handed on
        return raised
    return None


_STRIDED = torch.strided


class Elements:
    """A tensor's memory as elements of the library: its own where that is contiguous, else a copy's."""

    __slots__ = ("tensor", "used", "code", "count", "place")

    def __init__(self, tensor: torch.Tensor, call: str, reads: bool = True) -> None:
        # Asking for device.type takes fifteen times as long as is_cpu.
        if not tensor.is_cpu or tensor.layout is not _STRIDED:
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
            with torch.no_grad():
                self.used = tensor.contiguous().resolve_conj().resolve_neg() if reads else torch.empty(tensor.shape, dtype=tensor.dtype)
                if self.used is tensor:
                    self.used = tensor.clone()
        self.code = known[0]
        self.count = tensor.numel() * known[1]
        self.place = (self.used.data_ptr(), self.count)

    @property
    def memory(self) -> Tuple[int, int]:
        """From an address on, and to another."""
        start = self.place[0]
        return start, start + self.used.numel() * self.used.element_size()

    @property
    def is_whole(self) -> bool:
        """Whether it is the tensor's own memory."""
        return self.used is self.tensor

    def store(self) -> None:
        """What has come is in the tensor, and autograd knows that it has changed."""
        if self.used is not self.tensor:
            with torch.no_grad():
                self.tensor.copy_(self.used)
        else:
            increment_version(self.tensor)
