"""The torch.distributed backend "verbena", for CPU tensors: ``init_process_group("verbena")``.

Installing the wheel is enough where PyTorch looks for backends by itself (2.15 was tried); elsewhere import this module before.

Ranks meet through torch's own store: no second port has to be opened or named. On one machine data goes through shared memory, between machines over RDMA.
A call that blocks is carried out by the caller's thread; one with ``async_op=True``, as DDP's, is begun by it and carried out by the library, or, where a
tensor has to be copied, by a thread of the group, in order. When a rank dies, every survivor raises ``verbena.VerbenaError`` with its number, the
operation and the cause.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
import torch.distributed as dist
from torch._C import _distributed_c10d as _c10d

from ._rendezvous import meet
from ._torch_monitored import MonitoredBarrier
from ._torch_sparse import all_reduce_sparse
from ._torch_transfers import Transfers
from ._torch_work import Begun, Elements, VerbenaWork, Worker, seconds
from .communicator import REDUCTIONS, Communicator
from .errors import ConfigurationError, VerbenaError

_OPS = {dist.ReduceOp.SUM: "sum", dist.ReduceOp.PRODUCT: "product", dist.ReduceOp.MIN: "minimum", dist.ReduceOp.MAX: "maximum"}
_BITWISE = {dist.ReduceOp.BAND: torch.bitwise_and, dist.ReduceOp.BOR: torch.bitwise_or, dist.ReduceOp.BXOR: torch.bitwise_xor}


#: Of calls that have no bound of their own.
_UNSET = _c10d.AllreduceOptions().timeout
#: With TORCH_DISTRIBUTED_DEBUG=DETAIL torch wraps a backend and lets go of it, and calls what is gone later.
_WRAPPED: "List[VerbenaBackend]" = []
#: The library's own bound of an operation that does not move, unless VERBENA_STALL_TIMEOUT says another.
_STALL_SECONDS = 600


def _number(op: Any) -> int:
    return int(getattr(op, "op", op))


# In PyTorch 2.15 the hash is that number, at a third of the cost. The numbers are those of all reductions but PREMUL_SUM.
if all(hash(dist.ReduceOp(kind)) == _number(kind) for kind in [*_OPS, *_BITWISE, dist.ReduceOp.AVG]):
    _number = hash  # type: ignore[assignment]


class VerbenaBackend(_c10d.Backend):
    """A process group of torch.distributed. Made by ``init_process_group`` and ``new_group``."""

    def __init__(self, communicator: Communicator, timeout: Any, store: Any) -> None:
        super().__init__(communicator.rank, communicator.world_size)
        self.communicator = communicator
        self._timeout = seconds(timeout)
        self._worker = Worker("verbena")
        self._begun = Begun()
        #: Of those that begin something on the worker or by themselves: the order counts.
        self._order = threading.Lock()
        self._transfers = Transfers(communicator)
        self._monitored = MonitoredBarrier(store, communicator.rank, communicator.world_size, self._look)
        self._is_down = False
        #: The library's reductions, by torch's and the type of elements, where nothing has to be done besides.
        self._codes: Dict[Tuple[int, torch.dtype], int] = {}

    # ---- what torch asks of every backend ----

    def name(self) -> str:
        return "verbena"

    getBackendName = _get_backend_name = name

    supports_splitting = False
    supports_coalescing = False
    supports_shrinking = False
    supports_reconfigure = False
    supports_window = False
    supports_abort_hooks = False
    supports_completion_hooks = False
    supports_time_estimate = False
    _supports_time_estimate = False

    def supports_tensor_alloc(self, device: torch.device) -> bool:
        return torch.device(device).type == "cpu"

    def allocate_tensor(self, size: Any, *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """Memory of the engine's, which is exchanged without a copy. Collective, so it comes after what was started."""
        self._settle()
        count = size if isinstance(size, int) else int(torch.Size(size).numel())
        width = torch.empty((), dtype=dtype).element_size()
        return torch.from_numpy(self.communicator.allocate(count * width, "uint8")).view(dtype)

    def set_timeout(self, timeout: Any) -> None:
        self._timeout = seconds(timeout)

    _set_default_timeout = set_timeout

    def _set_sequence_number_for_group(self) -> None:
        pass

    def _get_sequence_number_for_group(self) -> int:
        return 0

    def _wait_for_pending_works(self) -> None:
        self._settle()

    def shutdown(self) -> None:
        """Takes leave, which needs every rank; where the job has failed, goes alone."""
        if self._is_down:
            return
        self._is_down = True
        self._settle()
        self._worker.drain()
        self._worker.end()
        self._transfers.end()
        try:
            if self.communicator.status() is None:
                self.communicator.close()
            else:
                self.communicator.leave()
        except VerbenaError:
            self.communicator.leave()
        self._begun.end()

    def abort(self) -> None:
        self._is_down = True
        self.communicator.abort("the program has aborted its process group")

    # ---- how calls are carried out ----

    def _begins(self, opts: Any) -> bool:
        """Whether an operation is to be begun only. Where its caller waits for it anyway, what was queued before has ended then."""
        self._refuse_if_down()
        if getattr(opts, "asyncOp", True):
            return True
        self._settle()
        return False

    def _refuse_if_down(self) -> None:
        if self._is_down:
            raise ConfigurationError("the process group was destroyed; make a new one with init_process_group")

    def _look(self) -> None:
        """Raises the job's error where it has ended."""
        error = self.communicator.status()
        if error is not None:
            raise error

    def _settle(self) -> None:
        """Waits for what was queued and begun before."""
        self._worker.drain()
        with self._order:
            self._begun.settle()

    def _do(self, opts: Any, tensors: List[torch.Tensor], call: Callable[[], None]) -> Any:
        """Carries out an operation: at once, for which torch takes None, or on the group's thread."""
        if self._begins(opts):
            with self._order:
                return self._queue(tensors, call)
        with torch.no_grad():
            call()
        return None

    def _queue(self, tensors: List[torch.Tensor], call: Callable[[], None]) -> VerbenaWork:
        """Has the group's thread carry out an operation, after all that was begun before; until its end nothing is begun."""
        work = VerbenaWork(tensors)

        def in_order() -> None:
            self._begun.settle()
            call()

        self._worker.start(work, in_order)
        return work

    def _exchange(
        self, opts: Any, call: str, name: str, source: torch.Tensor, target: torch.Tensor, extra: Tuple[Any, ...] = (),
    ) -> Any:
        """A collective that the library has as it is, ``call``; errors say ``name``. Begun by this thread, where no copy and nothing that was queued before
        stands in the way."""
        bound = self._bound(opts)
        if not self._begins(opts):
            self._carry_out(call, name, source, target, extra, bound)
            return None
        with self._order:
            # What the library has begun it bounds by itself: not by less than that.
            if (bound is None or bound >= _STALL_SECONDS) and self._worker.is_idle() and self._begun.has_room():
                try:
                    work = self._begin(call, name, source, target, extra)
                except Exception as error:  # noqa: BLE001, who waits is told
                    work = VerbenaWork([target])
                    work._end(error)
                if work is not None:
                    return work
            return self._queue([target], lambda: self._carry_out(call, name, source, target, extra, bound))

    def _carry_out(
        self, call: str, name: str, source: torch.Tensor, target: torch.Tensor, extra: Tuple[Any, ...], bound: Optional[float],
    ) -> None:
        given = Elements(source, name)
        taken = given if source is target else Elements(target, name, reads=False)
        self.communicator.run(call, given.code, self._count(call, given, taken), extra, given.place, taken.place, bound)
        taken.store()

    def _begin(self, call: str, name: str, source: torch.Tensor, target: torch.Tensor, extra: Tuple[Any, ...]) -> Any:
        given = Elements(source, name)
        taken = given if source is target else Elements(target, name, reads=False)
        places = (given.memory,) if source is target else (given.memory, taken.memory)
        if not given.is_whole or not taken.is_whole or self._begun.overlaps(places):
            return None
        request = self.communicator.begin(call, given.code, self._count(call, given, taken), extra, given.place, taken.place, (source, target))
        if request is None:
            return None
        taken.store()
        return self._begun.work([target], request, places)

    def _count(self, call: str, given: Elements, taken: Elements) -> int:
        """Elements of one rank's part."""
        if call == "reduce_scatter":
            return taken.count
        return given.count // self.size() if call == "all_to_all" else given.count

    def _bound(self, opts: Any) -> Optional[float]:
        timeout = getattr(opts, "timeout", None)
        return self._timeout if timeout == _UNSET else seconds(timeout) or self._timeout

    def _op(self, call: str, op: Any, dtype: torch.dtype) -> Tuple[str, Optional[float]]:
        """The library's name of a reduction, and the factor that comes before it."""
        kind = getattr(op, "op", op)
        if kind == dist.ReduceOp.PREMUL_SUM:
            return "sum", op.factor if hasattr(op, "factor") else op.__getstate__()[1]
        if dtype is torch.bool:
            # True + True is true: as numbers they would be 2.
            if kind in (dist.ReduceOp.SUM, dist.ReduceOp.MAX, dist.ReduceOp.BOR):
                return "maximum", None
            if kind in (dist.ReduceOp.PRODUCT, dist.ReduceOp.MIN, dist.ReduceOp.BAND):
                return "minimum", None
        elif kind == dist.ReduceOp.AVG:
            return "average", None
        elif dtype.is_complex and kind != dist.ReduceOp.SUM:
            pass
        elif kind in _OPS:
            return _OPS[kind], None
        raise ConfigurationError(f"{call}: no {kind} of {dtype}; possible are SUM, AVG, PRODUCT, MIN, MAX and PREMUL_SUM of numbers (SUM and AVG of complex "
                                 "ones), BAND, BOR and BXOR of integers, and SUM, PRODUCT, MIN, MAX, BAND and BOR of bool")

    def _is_bitwise(self, op: Any, dtype: torch.dtype) -> bool:
        return getattr(op, "op", op) in _BITWISE and not dtype.is_floating_point and not dtype.is_complex and dtype is not torch.bool

    def _gathered(self, tensor: torch.Tensor, timeout: Optional[float]) -> torch.Tensor:
        """All ranks' tensors, along a new first axis."""
        source = Elements(tensor, "allgather")
        result = torch.empty((self.size(), *tensor.shape), dtype=tensor.dtype)
        target = Elements(result, "allgather")
        self.communicator.run("all_gather", source.code, source.count, (), source.place, target.place, timeout)
        return result

    def _code(self, call: str, op: Any, dtype: torch.dtype) -> Optional[int]:
        """The library's number of a reduction; None where more has to be done than that."""
        # Comparing torch's reductions takes microseconds: what was found out once is looked up.
        key = (_number(op), dtype)
        code = self._codes.get(key)
        if code is None and not self._is_bitwise(op, dtype):
            (name, factor) = self._op(call, op, dtype)
            if factor is None:
                code = self._codes[key] = REDUCTIONS[name]
        return code

    def _reduced(self, call: str, tensor: torch.Tensor, op: Any, timeout: Optional[float]) -> None:
        if tensor.is_sparse and tensor.is_cpu and call == "allreduce":
            (name, factor) = self._op(call, op, tensor.dtype)
            if name not in ("sum", "average") or factor is not None:
                raise ConfigurationError(f"allreduce: no {op} of sparse tensors; possible are SUM and AVG")
            all_reduce_sparse(self.communicator, tensor, name == "average", timeout, self._gathered)
            return
        code = self._code(call, op, tensor.dtype)
        if code is None and self._is_bitwise(op, tensor.dtype):
            parts = self._gathered(tensor, timeout)
            result = parts[0]
            for part in parts[1:]:
                result = _BITWISE[getattr(op, "op", op)](result, part)
            tensor.copy_(result)
            return
        if code is None:
            (name, factor) = self._op(call, op, tensor.dtype)
            tensor.mul_(factor)
            code = REDUCTIONS[name]
        lent = Elements(tensor, call)
        self.communicator.run("all_reduce", lent.code, lent.count, (code,), lent.place, lent.place, timeout)
        lent.store()

    # ---- collectives ----

    def allreduce(self, tensors: List[torch.Tensor], opts: Any = None) -> Any:
        opts = opts or _c10d.AllreduceOptions()
        op = opts.reduceOp
        if len(tensors) == 1 and not tensors[0].is_sparse:
            code = self._code("allreduce", op, tensors[0].dtype)
            if code is not None:
                return self._exchange(opts, "all_reduce", "allreduce", tensors[0], tensors[0], (code,))
        bound = self._bound(opts)

        def call() -> None:
            for tensor in tensors:
                self._reduced("allreduce", tensor, op, bound)

        return self._do(opts, tensors, call)

    allreduce_coalesced = allreduce

    def broadcast(self, tensors: List[torch.Tensor], opts: Any = None) -> Any:
        opts = opts or _c10d.BroadcastOptions()
        (root, bound) = (opts.rootRank, self._bound(opts))

        def call() -> None:
            for tensor in tensors:
                self._broadcast(tensor, root, bound)

        return self._do(opts, tensors, call)

    def _broadcast(self, tensor: torch.Tensor, root: int, bound: Optional[float]) -> None:
        lent = Elements(tensor, "broadcast")
        self.communicator._broadcast(lent.code, lent.place[0], lent.count, root, bound)
        if self.rank() != root:
            lent.store()

    def reduce(self, tensors: List[torch.Tensor], opts: Any = None) -> Any:
        opts = opts or _c10d.ReduceOptions()
        (op, root, bound) = (opts.reduceOp, opts.rootRank, self._bound(opts))

        def call() -> None:
            for tensor in tensors:
                # Only the root's changes.
                part = tensor if self.rank() == root else tensor.clone()
                if self._is_bitwise(op, tensor.dtype):
                    self._reduced("reduce", part, op, bound)
                    continue
                (name, factor) = self._op("reduce", op, tensor.dtype)
                if factor is not None:
                    part.mul_(factor)
                lent = Elements(part, "reduce")
                self.communicator.run(
                    "reduce", lent.code, lent.count, (REDUCTIONS[name], root), lent.place, lent.place, bound, writes=self.rank() == root)
                if self.rank() == root:
                    lent.store()

        return self._do(opts, tensors, call)

    def all_gather_single(self, output: torch.Tensor, input: torch.Tensor, opts: Any = None) -> Any:
        opts = opts or _c10d.AllgatherOptions()
        if output.numel() != input.numel() * self.size() or output.dtype != input.dtype:
            raise ConfigurationError(
                f"all_gather: the output has {output.numel()} elements of {output.dtype}, and {self.size()} ranks give {input.numel()} each of {input.dtype}")
        return self._exchange(opts, "all_gather", "allgather", input, output)

    _allgather_base = all_gather_single

    def allgather(self, outputs: List[List[torch.Tensor]], inputs: List[torch.Tensor], opts: Any = None) -> Any:
        opts = opts or _c10d.AllgatherOptions()
        bound = self._bound(opts)

        def call() -> None:
            for (parts, tensor) in zip(outputs, inputs):
                if all(part.numel() == tensor.numel() for part in parts):
                    for (part, gathered) in zip(parts, self._gathered(tensor, bound)):
                        part.copy_(gathered.view(part.shape))
                else:
                    self._gather_uneven(parts, tensor, bound)

        return self._do(opts, [part for parts in outputs for part in parts], call)

    def _gather_uneven(self, parts: Sequence[torch.Tensor], tensor: torch.Tensor, bound: Optional[float]) -> None:
        (source, counts) = (Elements(tensor, "allgather"), [Elements(part, "allgather", reads=False).count for part in parts])
        flat = torch.empty(sum(part.numel() for part in parts), dtype=tensor.dtype)
        self.communicator.run_uneven("all_gather_v", source.code, (counts,), (), source.place, Elements(flat, "allgather").place, bound)
        for (part, gathered) in zip(parts, flat.split([part.numel() for part in parts])):
            part.copy_(gathered.view(part.shape))

    def allgather_coalesced(self, outputs: List[List[torch.Tensor]], inputs: List[torch.Tensor], opts: Any = None) -> Any:
        # Torch gives these by rank, and then by tensor.
        return self.allgather([[rank[index] for rank in outputs] for index in range(len(inputs))], inputs, opts)

    def all_gather_single_coalesced(self, outputs: List[torch.Tensor], inputs: List[torch.Tensor], opts: Any = None) -> Any:
        works = [self.all_gather_single(output, input, opts) for (output, input) in zip(outputs, inputs)]
        return works[-1] if works else self._do(opts or _c10d.AllgatherOptions(), [], lambda: None)

    allgather_into_tensor_coalesced = all_gather_single_coalesced

    def reduce_scatter_single(self, output: torch.Tensor, input: torch.Tensor, opts: Any = None) -> Any:
        opts = opts or _c10d.ReduceScatterOptions()
        (op, bound) = (opts.reduceOp, self._bound(opts))
        if input.numel() != output.numel() * self.size() or output.dtype != input.dtype:
            raise ConfigurationError(
                f"reduce_scatter: the input has {input.numel()} elements of {input.dtype}, and {self.size()} ranks get {output.numel()} each of {output.dtype}")
        code = self._code("reduce_scatter", op, input.dtype)
        if code is not None:
            return self._exchange(opts, "reduce_scatter", "reduce_scatter", input, output, (code,))

        def call() -> None:
            self._reduce_scattered(output, input, op, bound)

        return self._do(opts, [output], call)

    def _reduce_scattered(self, output: torch.Tensor, input: torch.Tensor, op: Any, bound: Optional[float]) -> None:
        if self._is_bitwise(op, input.dtype):
            whole = input.clone()
            self._reduced("reduce_scatter", whole, op, bound)
            output.copy_(whole.view(self.size(), -1)[self.rank()].view(output.shape))
            return
        (name, factor) = self._op("reduce_scatter", op, input.dtype)
        source = Elements(input if factor is None else input * factor, "reduce_scatter")
        target = Elements(output, "reduce_scatter", reads=False)
        self.communicator.run("reduce_scatter", source.code, target.count, (REDUCTIONS[name],), source.place, target.place, bound)
        target.store()

    _reduce_scatter_base = reduce_scatter_single

    def reduce_scatter(self, outputs: List[torch.Tensor], inputs: List[List[torch.Tensor]], opts: Any = None) -> Any:
        opts = opts or _c10d.ReduceScatterOptions()
        (op, bound) = (opts.reduceOp, self._bound(opts))

        def call() -> None:
            for (output, parts) in zip(outputs, inputs):
                flat = torch.cat([part.reshape(-1) for part in parts])
                if all(part.numel() == output.numel() for part in parts):
                    self._reduce_scattered(output, flat, op, bound)
                    continue
                (name, factor) = self._op("reduce_scatter", op, flat.dtype)
                if factor is not None:
                    flat.mul_(factor)
                (source, target) = (Elements(flat, "reduce_scatter"), Elements(output, "reduce_scatter", reads=False))
                counts = [Elements(part, "reduce_scatter").count for part in parts]
                self.communicator.run_uneven(
                    "reduce_scatter_v", source.code, (counts,), (REDUCTIONS[name],), source.place, target.place, bound)
                target.store()

        return self._do(opts, outputs, call)

    def reduce_scatter_single_coalesced(self, outputs: List[torch.Tensor], inputs: List[torch.Tensor], opts: Any = None) -> Any:
        works = [self.reduce_scatter_single(output, input, opts) for (output, input) in zip(outputs, inputs)]
        return works[-1] if works else self._do(opts or _c10d.ReduceScatterOptions(), [], lambda: None)

    reduce_scatter_tensor_coalesced = reduce_scatter_single_coalesced

    def all_to_all_single(
        self, output: torch.Tensor, input: torch.Tensor, output_splits: Sequence[int], input_splits: Sequence[int], opts: Any = None,
    ) -> Any:
        opts = opts or _c10d.AllToAllOptions()
        bound = self._bound(opts)
        if not input_splits and not output_splits and input.numel() == output.numel() and input.numel() % self.size() == 0 and input is not output:
            return self._exchange(opts, "all_to_all", "alltoall", input, output)

        def call() -> None:
            (source, target) = (Elements(input, "alltoall"), Elements(output, "alltoall", reads=False))
            self._all_to_all(source, target, list(input_splits), list(output_splits), bound)
            target.store()

        return self._do(opts, [output], call)

    alltoall_base = all_to_all_single

    def _all_to_all(
        self, source: Elements, target: Elements, given: List[int], taken: List[int], bound: Optional[float],
    ) -> None:
        """Splits count rows along the first axis; none stands for equal ones."""
        def counts(splits: List[int], elements: Elements) -> List[int]:
            if not splits:
                if elements.count % self.size():
                    raise ConfigurationError(f"all_to_all: {elements.count} elements are not {self.size()} equal parts; give split sizes")
                return [elements.count // self.size()] * self.size()
            rows = sum(splits)
            return [elements.count // rows * split if rows else 0 for split in splits]

        (sent, received) = (counts(given, source), counts(taken, target))
        # A choice that all ranks make alike: only who gave no splits at all knows that those of the others are equal, too.
        if not given and not taken:
            self.communicator.run("all_to_all", source.code, sent[0], (), source.place, target.place, bound)
        else:
            self.communicator.run_uneven("all_to_all_v", source.code, (sent, received), (), source.place, target.place, bound)

    def alltoall(self, outputs: List[torch.Tensor], inputs: List[torch.Tensor], opts: Any = None) -> Any:
        opts = opts or _c10d.AllToAllOptions()
        bound = self._bound(opts)

        def call() -> None:
            given = torch.cat([tensor.reshape(-1) for tensor in inputs])
            taken = torch.empty(sum(tensor.numel() for tensor in outputs), dtype=given.dtype)
            sizes = ([tensor.numel() for tensor in inputs], [tensor.numel() for tensor in outputs])
            self._all_to_all(Elements(given, "alltoall"), Elements(taken, "alltoall"), *sizes, bound)
            for (tensor, part) in zip(outputs, taken.split(sizes[1])):
                tensor.copy_(part.view(tensor.shape))

        return self._do(opts, outputs, call)

    def gather(self, outputs: List[List[torch.Tensor]], inputs: List[torch.Tensor], opts: Any = None) -> Any:
        opts = opts or _c10d.GatherOptions()
        (root, bound) = (opts.rootRank, self._bound(opts))

        def call() -> None:
            for (index, tensor) in enumerate(inputs):
                source = Elements(tensor, "gather")
                flat = torch.empty((self.size(), *tensor.shape), dtype=tensor.dtype)
                target = Elements(flat, "gather")
                self.communicator.run(
                    "gather", source.code, source.count, (root,), source.place, target.place, bound, writes=self.rank() == root)
                if self.rank() == root:
                    for (part, gathered) in zip(outputs[index], flat):
                        part.copy_(gathered)

        return self._do(opts, [part for parts in outputs for part in parts], call)

    def scatter(self, outputs: List[torch.Tensor], inputs: List[List[torch.Tensor]], opts: Any = None) -> Any:
        opts = opts or _c10d.ScatterOptions()
        (root, bound) = (opts.rootRank, self._bound(opts))

        def call() -> None:
            for (index, tensor) in enumerate(outputs):
                flat = torch.empty((self.size(), *tensor.shape), dtype=tensor.dtype)
                if self.rank() == root:
                    torch.stack([part.view(tensor.shape) for part in inputs[index]], out=flat)
                (source, target) = (Elements(flat, "scatter"), Elements(tensor, "scatter", reads=False))
                self.communicator.run(
                    "scatter", source.code, target.count, (root,), source.place, target.place, bound, reads=self.rank() == root)
                target.store()

        return self._do(opts, outputs, call)

    def barrier(self, opts: Any = None) -> Any:
        opts = opts or _c10d.BarrierOptions()
        bound = self._bound(opts)
        return self._do(opts, [], lambda: self.communicator.barrier(bound))

    def monitored_barrier(self, opts: Any = None, wait_all_ranks: bool = False) -> None:
        """A barrier that fails on rank 0 with the first rank that has not come, or all of them, and leaves the group in use."""
        self._refuse_if_down()
        self._settle()
        bound = getattr(opts, "timeout", opts)
        if bound is None or bound == _UNSET:
            bound = self._timeout or _STALL_SECONDS
        self._monitored.wait(bound.total_seconds() if isinstance(bound, timedelta) else float(bound), wait_all_ranks)

    # ---- transfers between two ranks ----

    def send(self, tensors: List[torch.Tensor], destination: int, tag: int = 0) -> Any:
        self._refuse_if_down()
        return self._transfers.send(tensors, destination, tag, self._timeout)

    def recv(self, tensors: List[torch.Tensor], source: int, tag: int = 0) -> Any:
        self._refuse_if_down()
        return self._transfers.receive(tensors, source, tag, self._timeout)

    def recv_anysource(self, tensors: List[torch.Tensor], tag: int = 0) -> Any:
        raise ConfigurationError("recv: from any rank is not possible; name the rank in src")


# ---- how it is made ----


def _create(options: Any, backend_options: Any = None) -> VerbenaBackend:
    communicator = meet(
        options.store, options.group_rank, options.group_size, str(getattr(options, "group_id", "") or ""), options.timeout)
    backend = VerbenaBackend(communicator, options.timeout, options.store)
    if dist.get_debug_level() == dist.DebugLevel.DETAIL:
        _WRAPPED.append(backend)
    return backend


def register() -> None:
    """Makes the backend known to torch.distributed; importing the module does."""
    if "VERBENA" not in dist.Backend._plugins:
        dist.Backend.register_backend("verbena", _create, extended_api=True, devices=["cpu"])


register()
