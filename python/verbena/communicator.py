"""Collectives between the ranks of a job, on NumPy arrays and whatever NumPy can see without a copy."""

from __future__ import annotations

import ctypes
import sys
import threading
import weakref
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from . import _library
from ._library import check, handle, library
from .errors import ConfigurationError, VerbenaError

TYPES: Dict[str, int] = {
    "float32": 0, "float64": 1, "float16": 2, "bfloat16": 3, "int8": 4, "int16": 5, "int32": 6, "int64": 7, "uint8": 8, "uint16": 9,
    "uint32": 10, "uint64": 11,
}
SIZES: List[int] = [4, 8, 2, 2, 1, 2, 4, 8, 1, 2, 4, 8]
REDUCTIONS: Dict[str, int] = {"sum": 0, "average": 1, "product": 2, "minimum": 3, "maximum": 4}
#: The library takes these on memory that it was not told of, where ranks share a machine's memory.
_PRIVATE = frozenset(["all_reduce", "reduce_scatter", "all_gather", "all_to_all"])
#: Of each peer and direction of transfers between two ranks, in bytes.
_TRANSFER_BYTES = 64 << 10
_ALIGNMENT = 64


class _PoolMemory:
    """Memory of the engine's. Arrays on it keep it; it goes back when the last of them goes."""

    def __init__(self, communicator: "Communicator", byte_count: int) -> None:
        self.handle = handle(library.verbena_allocate, communicator._handle, TYPES["uint8"], byte_count)
        self.address: int = library.verbena_buffer_data(self.handle) or 0
        self.byte_count = byte_count
        self._views: Dict[int, int] = {}
        self.__array_interface__ = {"shape": (byte_count,), "typestr": "|u1", "data": (self.address, False), "version": 3}

    def view(self, type_code: int) -> int:
        """The handle of this memory as elements of a type."""
        if type_code == TYPES["uint8"]:
            return self.handle
        if type_code not in self._views:
            self._views[type_code] = handle(library.verbena_buffer_view, self.handle, type_code)
        return self._views[type_code]

    def holds(self, address: int, byte_count: int) -> bool:
        return self.address <= address and address + byte_count <= self.address + self.byte_count

    def __del__(self) -> None:
        for view in getattr(self, "_views", {}).values():
            library.verbena_buffer_free(view)
        if getattr(self, "handle", 0):
            library.verbena_buffer_free(self.handle)


class Request:
    """An operation that was started. Leave its arrays alone until it was waited for.

    Any thread may ask and wait, at once and again.
    """

    def __init__(self, made: int, keeps: Tuple[Any, ...]) -> None:
        self._handle = made
        self._keeps = keeps

    def is_done(self) -> bool:
        """Whether the operation has ended, well or not."""
        return check(library.verbena_test(self._handle)) == 1

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Waits for the operation's end; with a ``timeout`` in seconds no longer than that, and the operation goes on.

        Returns whether it has ended. Raises the operation's error.
        """
        ended = ctypes.c_int(0)
        check(library.verbena_wait(self._handle, -1.0 if timeout is None else timeout, ctypes.byref(ended)))
        return ended.value == 1

    @staticmethod
    def wait_any(requests: "Sequence[Request]", timeout: Optional[float] = None) -> Optional[int]:
        """Waits until one of several has ended, well or not; gives its place in the list, None where none has within ``timeout`` seconds."""
        handles = (ctypes.c_void_p * max(1, len(requests)))(*[request._handle for request in requests])
        index = ctypes.c_int64(-1)
        check(library.verbena_wait_any(handles, len(requests), -1.0 if timeout is None else timeout, ctypes.byref(index)))
        return None if index.value < 0 else index.value

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # Freeing waits for the operation's end. A process that ends must not: its peers may wait for that.
        if getattr(self, "_handle", 0) and not is_finalizing():
            library.verbena_request_free(self._handle)


def _seconds(timeout: Optional[float]) -> float:
    return -1.0 if timeout is None else float(timeout)


def _text(value: Optional[str]) -> Optional[bytes]:
    return None if value is None else value.encode()


class Communicator:
    """A group of ranks that exchange data.

    Collectives are called by every rank in the same order with arrays of the same size and type, one thread at a time; transfers between two ranks are matched by
    their own order. When a rank dies or ranks disagree, every call on every rank raises the same error within seconds.

    Arrays of ``allocate`` are exchanged without a copy. Others pass through smaller buffers where ranks share a machine's memory (all_reduce,
    reduce_scatter, all_gather, all_to_all), and else through a copy that the engine knows. All ranks of a call pass arrays of the same kind. An array
    that is not contiguous is copied as well.
    """

    def __init__(
        self, *, rank: Optional[int] = None, world_size: Optional[int] = None, address: Optional[str] = None, port: int = 0,
        secret: Optional[str] = None, job_id: Optional[str] = None, fabric: Optional[str] = None, devices: Optional[str] = None,
        progress: Optional[str] = None, join_timeout: float = 0, liveness_timeout: float = 0, stall_timeout: float = 0,
        receive_buffer_bytes: int = 0, _handle: Optional[int] = None,
    ) -> None:
        """Joins the job: by the variables of torchrun, mpirun or srun, or explicitly by ``rank`` and ``world_size``, with the ``address`` and ``port`` at which rank 0
        is to be reached.

        Args:
            secret: only ranks of the same secret join.
            fabric: ``"auto"``, ``"shm"`` or ``"verbs"``.
            devices: RDMA devices, separated by commas.
            progress: ``"auto"``, ``"thread"`` or ``"hooks"``: who drives what was started.
            join_timeout, liveness_timeout, stall_timeout: in seconds; 0 for the defaults (120, 30, 600).
        """
        if _handle is None:
            if (rank is None) != (world_size is None):
                raise ConfigurationError("give rank and world_size, or neither: then a launcher's variables say them")
            options = _library.JoinOptions()
            options.size = ctypes.sizeof(options)
            if rank is not None and world_size is not None:
                (options.rank, options.world_size) = (rank, world_size)
            (options.address, options.port, options.secret, options.job_id) = (_text(address), port, _text(secret), _text(job_id))
            (options.fabric, options.devices, options.progress) = (_text(fabric), _text(devices), _text(progress))
            options.join_timeout_seconds = join_timeout
            options.liveness_timeout_seconds = liveness_timeout
            options.stall_timeout_seconds = stall_timeout
            options.receive_buffer_bytes = receive_buffer_bytes
            _handle = handle(library.verbena_join, ctypes.byref(options))
        self._handle: int = _handle
        #: Of ``allocate``, by the address of each.
        self._pool: "weakref.WeakValueDictionary[int, _PoolMemory]" = weakref.WeakValueDictionary()
        self._has_pool = False
        self._own: Dict[int, int] = {}
        self._own_base: Optional[int] = None
        self._staging: Optional[_PoolMemory] = None
        self.rank: int = check(library.verbena_rank(_handle))
        self.world_size: int = check(library.verbena_world_size(_handle))
        self.local_rank: int = check(library.verbena_local_rank(_handle))
        self.local_world_size: int = check(library.verbena_local_world_size(_handle))
        self.fabric_name: str = library.verbena_fabric_name(_handle).decode()
        self.device_name: str = library.verbena_device_name(_handle).decode()
        # Two ranks alone cannot allocate, which is collective.
        self._transfers = _PoolMemory(self, 2 * self.world_size * _TRANSFER_BYTES)
        self._transfer_locks = [threading.Lock() for _ in range(2 * self.world_size)]

    # ---- life ----

    def split(self, color: Optional[int], key: int = 0) -> "Optional[Communicator]":
        """Makes communicators of this one's ranks: those of the same ``color`` (0 or more) form one, numbered by ``key`` and rank. None where ``color`` is
        None. Collective."""
        made = handle(library.verbena_split, self._handle, -1 if color is None else color, key)
        return Communicator(_handle=made) if made else None

    def close(self) -> None:
        """Takes leave when every rank has come here. Collective. With the communicator of all ranks, arrays of ``allocate`` must not be touched again."""
        check(library.verbena_close(self._handle))

    def leave(self) -> None:
        """Goes without waiting for anybody, after an error."""
        check(library.verbena_leave(self._handle))

    def abort(self, reason: str) -> None:
        """Ends the job for all ranks, which are told why. Any thread."""
        check(library.verbena_abort(self._handle, reason.encode()))

    def status(self) -> Optional[VerbenaError]:
        """What has become of the job: None while it runs, else why it has ended. Does not wait."""
        return None if library.verbena_status(self._handle) == 0 else _library.failure()

    def __enter__(self) -> "Communicator":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self.close()
        elif self.status() is None:
            self.abort(f"{kind.__name__}: {error}".splitlines()[0])

    def __del__(self) -> None:
        for own in getattr(self, "_own", {}).values():
            library.verbena_buffer_free(own)
        if getattr(self, "_handle", 0):
            library.verbena_communicator_free(self._handle)

    # ---- memory ----

    def allocate(self, shape: Any, dtype: Any = np.float32) -> np.ndarray:
        """Gives an array of zeros that is exchanged without a copy. Collective: every rank gives the same. Its memory goes back with the last array on it."""
        dtype = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        memory = _PoolMemory(self, max(1, count * dtype.itemsize))
        self._pool[memory.address] = memory
        self._has_pool = True
        return np.asarray(memory)[: count * dtype.itemsize].view(dtype).reshape(shape)

    def _own_memory(self, type_code: int) -> int:
        """Asks for the handle of all memory of the process; 0 where there is none."""
        try:
            own = handle(library.verbena_own_memory, self._handle, type_code)
            self._own_base = library.verbena_buffer_data(own)
        except ConfigurationError:
            own = 0
        self._own[type_code] = own
        return own

    def _known(self, address: int, byte_count: int) -> Optional[_PoolMemory]:
        for memory in list(self._pool.values()):
            if memory.holds(address, byte_count):
                return memory
        return None

    def _place(self, call: str, address: int, count: int, type_code: int) -> Optional[Tuple[int, int]]:
        """The handle by which the library knows memory, and the offset in it; None where it has to be staged."""
        size = SIZES[type_code]
        # Where only the root gives an array for all, the others cannot know of what kind it is.
        if call in ("gather", "scatter"):
            return None
        memory = self._known(address, count * size) if self._has_pool else None
        if memory is not None and (address - memory.address) % size == 0:
            return memory.view(type_code), (address - memory.address) // size
        if call in _PRIVATE and address % size == 0:
            own = self._own.get(type_code)
            if own is None:
                own = self._own_memory(type_code)
            # An empty array may lie at no address at all.
            if own:
                return own, ((address - (self._own_base or 0)) // size if count else 0)
        return None

    def _stage(self, byte_count: int) -> _PoolMemory:
        """Staging memory, of at least so many bytes: as many on every rank."""
        if self._staging is None or self._staging.byte_count < byte_count:
            self._staging = None
            self._staging = _PoolMemory(self, max(1 << 20, 1 << (byte_count - 1).bit_length()))
        return self._staging

    def run(
        self, call: str, type_code: int, count: int, extra: Tuple[Any, ...], source: Tuple[int, int], target: Tuple[int, int],
        timeout: Optional[float] = None, reads: bool = True, writes: bool = True,
    ) -> None:
        """Carries out a collective on addresses, for front ends that have no arrays.

        Args:
            call: the function of verbena.h, without its prefix.
            count: as that function has it.
            extra: its arguments between ``count`` and the timeout.
            source, target: address, and elements that every rank has there; the same for in place.
            reads, writes: whether this rank gives something, and gets something.
        """
        function = getattr(library, "verbena_" + call)
        seconds = -1.0 if timeout is None else timeout
        if source is not target:
            (source, target) = self._whole(call, SIZES[type_code], source, target)
        parts = self._parts(call, type_code, source, target)
        if parts is not None:
            # As check, which would cost a call more.
            if function(self._handle, *parts, count, *extra, seconds) < 0:
                raise _library.failure()
            return
        (size, in_place) = (SIZES[type_code], source == target)
        offset = 0 if in_place else -(-source[1] * size // _ALIGNMENT) * _ALIGNMENT
        staging = self._stage(max(1, offset + target[1] * size))
        view = staging.view(type_code)
        if reads:
            ctypes.memmove(staging.address, source[0], source[1] * size)
        check(function(self._handle, view, 0, *((None, 0) if in_place else (view, offset // size)), count, *extra, seconds))
        if writes:
            ctypes.memmove(target[0], staging.address + offset, target[1] * size)

    def begin(
        self, call: str, type_code: int, count: int, extra: Tuple[Any, ...], source: Tuple[int, int], target: Tuple[int, int], keeps: Any,
    ) -> Optional[Request]:
        """Begins what ``run`` carries out, and keeps ``keeps`` until its end. None where it would need staging memory: then nothing has begun."""
        (source, target) = self._whole(call, SIZES[type_code], source, target)
        parts = self._parts(call, type_code, source, target)
        if parts is None:
            return None
        return Request(handle(getattr(library, "verbena_start_" + call), self._handle, *parts, count, *extra), (keeps, self))

    def _whole(self, call: str, size: int, source: Tuple[int, int], target: Tuple[int, int]) -> Tuple[Tuple[int, int], Tuple[int, int]]:
        """A rank's own block inside the larger of the two is in place, which is said by the place of the larger one: that is the same on every rank."""
        if call == "all_gather" and source[0] == target[0] + self.rank * source[1] * size:
            return target, target
        if call == "reduce_scatter" and target[0] == source[0] + self.rank * target[1] * size:
            return source, source
        return source, target

    def _parts(self, call: str, type_code: int, source: Tuple[int, int], target: Tuple[int, int]) -> Optional[Tuple[Any, int, Any, int]]:
        """The input and the output as the functions of verbena.h take them; None where one has to be staged."""
        first = self._place(call, source[0], source[1], type_code)
        if first is None or source == target:
            return None if first is None else (first[0], first[1], None, 0)
        second = self._place(call, target[0], target[1], type_code)
        return None if second is None else first + second

    def run_uneven(
        self, call: str, type_code: int, counts: Tuple[Sequence[int], ...], extra: Tuple[Any, ...], source: Tuple[int, int],
        target: Tuple[int, int], timeout: Optional[float] = None,
    ) -> None:
        """The same for blocks that differ in size: ``"all_gather_v"``, ``"reduce_scatter_v"``, ``"all_to_all_v"``; always through staging memory."""
        size = SIZES[type_code]
        # The same places on every rank, with room for the one that needs most. Nothing at the same place as something would be taken for in place.
        needed = np.array([max(1, -(-source[1] * size // _ALIGNMENT)) * _ALIGNMENT, target[1] * size], np.int64)
        self.all_reduce(needed, "maximum", timeout=timeout)
        offset = int(needed[0])
        staging = self._stage(offset + int(needed[1]))
        view = staging.view(type_code)
        lists = [(ctypes.c_int64 * len(each))(*each) for each in counts]
        ctypes.memmove(staging.address, source[0], source[1] * size)
        function = getattr(library, "verbena_" + call)
        check(function(self._handle, view, 0, view, offset // size, *lists, *extra, _seconds(timeout)))
        ctypes.memmove(target[0], staging.address + offset, target[1] * size)

    # ---- collectives ----

    def all_reduce(self, array: Any, op: str = "sum", out: Any = None, timeout: Optional[float] = None) -> Any:
        """Gives every rank the reduction (``"sum"``, ``"average"``, ``"product"``, ``"minimum"``, ``"maximum"``) of all ranks' arrays: in ``out``, or in place."""
        return self._call("all_reduce", array, out, 1, 1, (_reduction(op),), timeout)

    def reduce_scatter(self, array: Any, out: Any, op: str = "sum", timeout: Optional[float] = None) -> Any:
        """Gives rank r block r of the reduction; ``array`` has a block of ``out``'s size for each rank."""
        return self._call("reduce_scatter", array, out, self.world_size, 1, (_reduction(op),), timeout)

    def all_gather(self, array: Any, out: Any, timeout: Optional[float] = None) -> Any:
        """Gives every rank the arrays of all, in the order of ranks."""
        return self._call("all_gather", array, out, 1, self.world_size, (), timeout)

    def all_to_all(self, array: Any, out: Any, timeout: Optional[float] = None) -> Any:
        """Gives rank r block r of every rank's array."""
        return self._call("all_to_all", array, out, self.world_size, self.world_size, (), timeout)

    def broadcast(self, array: Any, root: int = 0, timeout: Optional[float] = None) -> Any:
        """Gives every rank the root's array, in place."""
        with _Lent(array, writes=True, reads=self.rank == root) as lent:
            self._broadcast(lent.type_code, lent.address, lent.count, root, timeout)
        return array

    def _broadcast(self, type_code: int, address: int, count: int, root: int, timeout: Optional[float]) -> None:
        place = self._place("broadcast", address, count, type_code)
        if place is not None:
            check(library.verbena_broadcast(self._handle, *place, count, root, _seconds(timeout)))
            return
        size = count * SIZES[type_code]
        staging = self._stage(max(1, size))
        if self.rank == root:
            ctypes.memmove(staging.address, address, size)
        check(library.verbena_broadcast(self._handle, staging.view(type_code), 0, count, root, _seconds(timeout)))
        if self.rank != root:
            ctypes.memmove(address, staging.address, size)

    def reduce(self, array: Any, root: int = 0, op: str = "sum", out: Any = None, timeout: Optional[float] = None) -> Any:
        """Gives the root the reduction of all arrays: in ``out``, or in place. The others' stay as they are."""
        return self._call("reduce", array, out, 1, 1, (_reduction(op), root), timeout, writes=self.rank == root)

    def gather(self, array: Any, out: Any, root: int = 0, timeout: Optional[float] = None) -> Any:
        """Gives the root all arrays, in the order of ranks. ``out`` is the root's; the others give None."""
        if out is None:
            array = np.asarray(array)
            out = np.empty(self.world_size * array.size, array.dtype)
        return self._call("gather", array, out, 1, self.world_size, (root,), timeout, writes=self.rank == root)

    def scatter(self, array: Any, out: Any, root: int = 0, timeout: Optional[float] = None) -> Any:
        """Gives rank r block r of the root's array. ``array`` is the root's; the others give None."""
        if array is None:
            array = np.empty(self.world_size * np.asarray(out).size, np.asarray(out).dtype)
        return self._call("scatter", array, out, self.world_size, 1, (root,), timeout, reads=self.rank == root)

    def barrier(self, timeout: Optional[float] = None) -> None:
        """Returns once every rank has called it."""
        check(library.verbena_barrier(self._handle, _seconds(timeout)))

    def start_all_reduce(self, array: Any, op: str = "sum", out: Any = None) -> Request:
        """Begins an all_reduce and returns at once. The arrays are contiguous; where ranks do not share a machine's memory they are of ``allocate``."""
        return self._start("all_reduce", array, out, (_reduction(op),))

    def start_barrier(self) -> Request:
        """Begins a barrier, which ends once every rank has begun it."""
        return Request(handle(library.verbena_start_barrier, self._handle), ())

    # ---- transfers between two ranks ----

    def send(self, array: Any, to: int, timeout: Optional[float] = None) -> None:
        """Sends to a rank, which receives as many elements of the same type."""
        with _Lent(array, writes=False) as lent:
            self.transfer("send", lent.type_code, lent.address, lent.count, to, timeout)

    def receive(self, array: Any, source: int, timeout: Optional[float] = None) -> Any:
        """Receives what a rank sends, into ``array``."""
        with _Lent(array, writes=True, reads=False) as lent:
            self.transfer("receive", lent.type_code, lent.address, lent.count, source, timeout)
        return array

    def transfer(self, call: str, type_code: int, address: int, count: int, peer: int, timeout: Optional[float] = None) -> None:
        """A transfer of ``count`` elements at an address: ``"send"`` or ``"receive"``. In pieces, through memory that both ends know."""
        (function, is_send) = (getattr(library, "verbena_" + call), call == "send")
        (size, memory) = (SIZES[type_code], self._transfers)
        if not 0 <= peer < self.world_size or peer == self.rank:
            raise ConfigurationError(f"{call}: rank {peer} is not another rank of 0 to {self.world_size - 1}")
        lane = 2 * peer + (0 if is_send else 1)
        begin = lane * _TRANSFER_BYTES
        with self._transfer_locks[lane]:
            done = 0
            while done < count or count == 0:
                part = min(count - done, _TRANSFER_BYTES // size)
                if is_send:
                    ctypes.memmove(memory.address + begin, address + done * size, part * size)
                check(function(self._handle, memory.view(type_code), begin // size, part, peer, _seconds(timeout)))
                if not is_send:
                    ctypes.memmove(address + done * size, memory.address + begin, part * size)
                done += part
                if count == 0:
                    break

    # ---- what is said of it ----

    def explain(self, collective: str, byte_count: int, dtype: Any = np.float32) -> str:
        """What would be done for a collective of so many bytes a rank, and why: one line, the same on every rank."""
        names = ["all_reduce", "reduce_scatter", "all_gather", "all_to_all", "broadcast", "reduce", "gather", "scatter", "barrier"]
        if collective not in names:
            raise ConfigurationError(f"there is no collective {collective!r}; give one of {', '.join(names)}")
        text = ctypes.create_string_buffer(1000)
        check(library.verbena_explain(self._handle, names.index(collective), byte_count, _type_code(np.dtype(dtype)), text, len(text)))
        return text.value.decode()

    def __repr__(self) -> str:
        return f"<verbena.Communicator rank {self.rank} of {self.world_size}, {self.fabric_name}>"

    # ---- arguments ----

    def _call(
        self, call: str, array: Any, out: Any, blocks: int, out_blocks: int, extra: Tuple[Any, ...], timeout: Optional[float],
        reads: bool = True, writes: bool = True,
    ) -> Any:
        with _Lent(array, writes=out is None and writes, reads=reads) as source:
            if out is None:
                self.run(call, source.type_code, source.count, extra, source.place, source.place, timeout, reads, writes)
                return array
            with _Lent(out, writes=writes, reads=False) as target:
                if source.type_code != target.type_code:
                    raise ConfigurationError(f"{call}: the arrays are of {source.name} and {target.name}; give both the same")
                if source.count * out_blocks != target.count * blocks or source.count % blocks:
                    raise ConfigurationError(
                        f"{call}: {source.count} elements do not fit {target.count} with {self.world_size} ranks; give "
                        f"{source.count // blocks * out_blocks}")
                self.run(call, source.type_code, source.count // blocks, extra, source.place, target.place, timeout, reads, writes)
        return out

    def _start(self, call: str, array: Any, out: Any, extra: Tuple[Any, ...]) -> Request:
        source = _Lent(array, writes=True)
        target = source if out is None else _Lent(out, writes=True, reads=False)
        if source.copy is not None or target.copy is not None:
            raise ConfigurationError(f"start_{call}: an array is not contiguous; give contiguous ones, or call {call}")
        request = self.begin(call, source.type_code, source.count, extra, source.place, target.place, (array, out))
        if request is None:
            raise ConfigurationError(f"start_{call}: ranks of several machines start operations on arrays of allocate only; or call {call}")
        return request


def _reduction(op: str) -> int:
    if op not in REDUCTIONS:
        raise ConfigurationError(f"there is no reduction {op!r}; give one of {', '.join(REDUCTIONS)}")
    return REDUCTIONS[op]


def _type_code(dtype: np.dtype) -> int:
    if dtype.name not in TYPES or dtype.byteorder == ">":
        raise ConfigurationError(f"arrays of {dtype} are not exchanged; give one of {', '.join(TYPES)}")
    return TYPES[dtype.name]


class _Lent:
    """An array's memory for the time of a call: its own, or that of a contiguous copy, which is copied back."""

    def __init__(self, value: Any, writes: bool, reads: bool = True) -> None:
        array = value if isinstance(value, np.ndarray) else _seen(value)
        if writes and not array.flags.writeable:
            raise ConfigurationError("an array that receives a result is read-only; give one that can be written")
        self.name = array.dtype.name
        self.type_code = _type_code(array.dtype)
        self.array = array
        self.writes = writes
        self.copy: Optional[np.ndarray] = None
        if not array.flags.c_contiguous:
            self.copy = np.ascontiguousarray(array) if reads else np.empty(array.shape, array.dtype)
        used = array if self.copy is None else self.copy
        self.count: int = used.size
        self.address: int = used.ctypes.data
        self.place = (self.address, self.count)

    def __enter__(self) -> "_Lent":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None and self.writes and self.copy is not None:
            self.array[...] = self.copy


def _seen(value: Any) -> np.ndarray:
    """Any object as an array on the same memory."""
    if hasattr(value, "__array_interface__") or isinstance(value, (bytearray, memoryview)):
        return np.asarray(value)
    if hasattr(value, "__dlpack__"):
        return np.from_dlpack(value)
    try:
        return np.asarray(memoryview(value))
    except TypeError:
        raise ConfigurationError(f"{type(value).__name__} has no memory that NumPy can see; give an array") from None
