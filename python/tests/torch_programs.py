"""What the ranks of test_torch.py do: one function for each test, named by the first argument."""

import gc
import os
import signal
import sys
import time
import weakref
from datetime import timedelta

import torch
import torch.distributed as dist

import verbena
import verbena.ddp
import verbena.torch


def begin(backend="verbena"):
    dist.init_process_group(backend)
    return dist.get_rank(), dist.get_world_size()


def raises(kind, call, *words):
    try:
        call()
    except kind as error:
        for word in words:
            assert word in str(error), f"{word!r} is not in: {error}"
        return error
    raise AssertionError(f"no {kind}")


def values(rank, dtype, count=24):
    return ((torch.arange(count) * 5 + rank * 3) % 7 + 1).to(dtype)


def collectives():
    """Everything against a plain computation, with strange layouts: what Gloo gets wrong without a word."""
    (me, n) = begin()
    everyone = range(n)
    dtypes = [
        torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8,
        torch.complex64, torch.complex128,
    ]
    for dtype in dtypes:
        total = sum(values(rank, torch.complex128 if dtype.is_complex else torch.float64) for rank in everyone).to(dtype)
        for layout in (lambda t: t, lambda t: t.reshape(4, 6).t(), lambda t: torch.stack([t, t], 1)[:, 0]):
            x = layout(values(me, dtype))
            dist.all_reduce(x)
            assert torch.equal(x, layout(total)), (dtype, x, total)
            x = layout(values(me, dtype))
            dist.reduce(x, 0)
            assert torch.equal(x, layout(total if me == 0 else values(me, dtype)))
            x = layout(values(me, dtype))
            dist.broadcast(x, n - 1)
            assert torch.equal(x, layout(values(n - 1, dtype)))
            parts = [torch.zeros_like(x) for _ in everyone]
            dist.all_gather(parts, layout(values(me, dtype)))
            assert all(torch.equal(parts[rank], layout(values(rank, dtype))) for rank in everyone)
            parts = [torch.zeros_like(x) for _ in everyone] if me == 0 else None
            dist.gather(layout(values(me, dtype)), parts, 0)
            assert me or all(torch.equal(parts[rank], layout(values(rank, dtype))) for rank in everyone)
            x = layout(torch.zeros(24, dtype=dtype))
            dist.scatter(x, [layout(values(rank, dtype)) for rank in everyone] if me == 0 else None, 0)
            assert torch.equal(x, layout(values(me, dtype)))
            x = layout(torch.zeros(24, dtype=dtype))
            dist.reduce_scatter(x, [layout(values(me + rank, dtype)) for rank in everyone])
            assert torch.equal(x, layout(sum(values(rank + me, torch.complex128 if dtype.is_complex else torch.float64) for rank in everyone).to(dtype)))
            outs = [torch.zeros_like(x) for _ in everyone]
            dist.all_to_all(outs, [layout(values(me * n + rank, dtype)) for rank in everyone])
            assert all(torch.equal(outs[rank], layout(values(rank * n + me, dtype))) for rank in everyone)
        whole = torch.zeros(n * 24, dtype=dtype)
        dist.all_gather_into_tensor(whole, values(me, dtype))
        assert torch.equal(whole, torch.cat([values(rank, dtype) for rank in everyone]))
        x = torch.zeros(24, dtype=dtype)
        dist.reduce_scatter_tensor(x, torch.cat([values(me, dtype)] * n))
        assert torch.equal(x, total)
    # Reductions.
    for (op, wanted) in (
        (dist.ReduceOp.MAX, n), (dist.ReduceOp.MIN, 1), (dist.ReduceOp.AVG, (n + 1) / 2), (dist.ReduceOp.PRODUCT, [0, 1, 2, 6, 24][n]),
    ):
        x = torch.full((9,), me + 1.0)
        dist.all_reduce(x, op)
        assert (x == wanted).all(), (op, x)
    x = torch.full((3,), 2.0)
    dist.all_reduce(x, dist._make_nccl_premul_sum(0.5))
    assert (x == n).all()
    for (op, wanted) in ((dist.ReduceOp.BOR, (1 << n) - 1), (dist.ReduceOp.BAND, 0 if n > 1 else 1), (dist.ReduceOp.BXOR, (1 << n) - 1)):
        x = torch.tensor([1 << me])
        dist.all_reduce(x, op)
        assert x.item() == wanted, op
    flags = torch.tensor([True, me == 0, False])
    dist.all_reduce(flags)
    assert flags.tolist() == [True, True, False]
    # Uneven ones, empty ones, objects, transfers with tags.
    parts = [torch.zeros(rank) for rank in everyone]
    dist.all_gather(parts, torch.full((me,), float(me)))
    assert all((parts[rank] == rank).all() for rank in everyone)
    (sent, received) = ([rank + me for rank in everyone], [me + rank for rank in everyone])
    x = torch.zeros(sum(received))
    dist.all_to_all_single(x, torch.full((sum(sent),), float(me)), received, sent)
    assert torch.equal(x, torch.cat([torch.full((received[rank],), float(rank)) for rank in everyone]))
    dist.all_reduce(torch.zeros(0))
    objects = [None] * n
    dist.all_gather_object(objects, {"rank": me})
    assert objects == [{"rank": rank} for rank in everyone]
    if n > 1 and me < 2:
        other = 1 - me
        (a, b) = (torch.zeros(40_000), torch.zeros(3, dtype=torch.int64))
        requests = [
            dist.isend(torch.full((40_000,), float(me)), other, tag=1), dist.isend(torch.tensor([me, 2, 3]), other, tag=2),
            dist.irecv(b, other, tag=2), dist.irecv(a, other, tag=1),
        ]
        for request in requests:
            request.wait()
        assert (a == other).all() and b.tolist() == [other, 2, 3]
        operations = [dist.P2POp(dist.irecv, a, other), dist.P2POp(dist.isend, b.to(torch.float32).repeat(40_000)[:40_000], other)]
        for request in dist.batch_isend_irecv(operations):
            request.wait()
    # In place, autograd has to know.
    x = torch.ones(3)
    before = x._version
    dist.all_reduce(x)
    assert x._version > before
    work = dist.all_reduce(torch.ones(100_000), async_op=True)
    assert work.get_future().wait()[0].sum().item() == 100_000 * n and work.get_future().done()
    group = dist.new_group([0])
    if me == 0:
        dist.all_reduce(x, group=group)
    dist.monitored_barrier()
    dist.destroy_process_group()


def begun():
    """What the library carries out by itself, between what has to be copied and what blocks: order, ends, and the life of tensors."""
    (me, n) = begin()
    # In turns by both ways: each multiplies what the one before has left.
    x = torch.ones(6)
    columns = torch.ones(6, 2)[:, 0]
    works = []
    for _ in range(5):
        works += [dist.all_reduce(x, async_op=True), dist.all_reduce(columns, async_op=True), dist.all_reduce(x, async_op=True)]
        dist.all_reduce(x)
    for work in works:
        assert work.wait()
    assert (x == n**15).all() and (columns == n**5).all()
    # On the way together, and in part on the same memory.
    for _ in range(100):
        (x, columns, works) = (torch.ones(8), torch.ones(6, 2)[:, 0], [])
        for _ in range(4):
            works += [dist.all_reduce(part, async_op=True) for part in (x, x[2:5], columns, x[4:])]
        for work in works:
            assert work.wait()
        powers = [4, 4, 8, 8, 12, 8, 8, 8]
        assert x.tolist() == [float(n**power) for power in powers] and (columns == n**4).all(), x
    # More than the library has places for, all of them waited for late; and others that nobody waits for.
    many = [torch.full((5,), float(index)) for index in range(1_300)]
    works = [dist.all_reduce(each, async_op=True) for each in many]
    assert all(work.wait() for work in works) and all((each == n * index).all() for (index, each) in enumerate(many))
    gone = [weakref.ref(tensor) for tensor in (torch.ones(70_000) for _ in range(8)) if dist.all_reduce(tensor, async_op=True)]
    dist.barrier()
    dist.all_reduce(torch.ones(1), async_op=True).wait()
    dist.all_reduce(torch.ones(1), async_op=True).wait()
    assert all(reference() is None for reference in gone[:-1]), "a tensor outlives its operation"
    # An operation that its peers have not come to goes on, with its tensor, after a wait in vain and when its caller lets it go.
    if n > 1:
        tensor = torch.full((70_000,), float(me))
        held = weakref.ref(tensor)
        if me == 0:
            work = dist.all_reduce(tensor, async_op=True)
            raises(Exception, lambda: work.wait(timedelta(milliseconds=50)), "not ended within")
            del work, tensor
            gc.collect()
            assert held() is not None, "a tensor went before its operation"
            dist.send(torch.ones(1), 1)
            dist.barrier()
        else:
            if me == 1:
                dist.recv(torch.ones(1), 0)
            dist.all_reduce(tensor)
            dist.barrier()
            assert (tensor == sum(range(n))).all()
    # Of the others: gathered, scattered and exchanged, with a future and without.
    whole = torch.zeros(n * 4)
    dist.all_gather_into_tensor(whole, torch.full((4,), float(me)), async_op=True).get_future().wait()
    assert whole.tolist() == [float(index // 4) for index in range(4 * n)]
    part = torch.zeros(4)
    dist.reduce_scatter_tensor(part, whole, dist.ReduceOp.AVG, async_op=True).wait()
    assert (part == me).all()
    other = torch.zeros(n * 2)
    dist.all_to_all_single(other, torch.full((n * 2,), float(me)), async_op=True).wait()
    assert other.tolist() == [float(index // 2) for index in range(2 * n)]
    # A bound that is shorter than the library's own is kept: by the group's thread.
    short = dist.new_group(timeout=timedelta(seconds=30))
    x = torch.ones(3)
    dist.all_reduce(x, group=short, async_op=True).wait()
    assert (x == n).all()
    dist.destroy_process_group()


def disagreement():
    """An error of an operation that was begun comes from the wait, from the future, and from what comes after; and nothing hangs at the end."""
    (me, _) = begin()
    works = [dist.all_reduce(torch.zeros(5 + me), async_op=True), dist.all_reduce(torch.zeros(3), async_op=True)]
    future = works[0].get_future()
    for work in works:
        raises(verbena.DisagreedError, work.wait, "rank")
    raises(RuntimeError, future.wait, "DisagreedError: rank")
    raises(verbena.DisagreedError, lambda: dist.all_reduce(torch.zeros(3)), "rank")
    raises(verbena.DisagreedError, dist.all_reduce(torch.zeros(3), async_op=True).wait, "rank")


def leaving():
    """A rank that ends while what it has begun waits for others ends at once."""
    (me, _) = begin()
    if me == 0:
        globals()["kept"] = dist.all_reduce(torch.zeros(3), async_op=True)
        return
    raises(verbena.VerbenaError, lambda: dist.recv(torch.zeros(1), 0), "rank 0")


def arguments():
    (me, n) = begin()
    bad = verbena.ConfigurationError
    raises(bad, lambda: dist.all_reduce(torch.zeros(3), dist.ReduceOp.BAND), "BAND", "SUM")
    raises(Exception, lambda: dist.all_reduce(torch.zeros(3, dtype=torch.complex64), dist.ReduceOp.MAX), "complex")
    raises(bad, lambda: dist.all_reduce(torch.ones(3).to_sparse(), dist.ReduceOp.MAX), "sparse", "AVG")
    raises(bad, lambda: dist.all_reduce(torch.ones(3 + me).to_sparse()), "sparse", "elements")
    raises(bad, lambda: dist.all_gather_into_tensor(torch.zeros(3 * n + 1), torch.zeros(3)), "elements")
    raises(Exception, lambda: dist.recv(torch.zeros(3)), "rank")
    raises(Exception, lambda: dist.init_process_group("verbena"), "twice")
    group = dist.new_group([1])
    raises(Exception, lambda: dist.all_reduce(torch.zeros(3), group=group)) if me == 0 and n > 1 and group is None else None
    backend = dist.distributed_c10d._get_default_group()._get_backend(torch.device("cpu"))
    dist.destroy_process_group()
    raises(bad, lambda: backend.allreduce([torch.zeros(3)]), "destroyed")


def uneven():
    """Parts of any sizes: what is small on one rank and large on another lies at the same places on all."""
    (me, n) = begin()
    for sizes in ([1, 9, 40], [9, 1, 1], [0, 100, 3_000], [3_000, 0, 1], [40_000, 7, 300_000]):
        parts = [torch.zeros(sizes[rank]) for rank in range(n)]
        dist.all_gather(parts, torch.full((sizes[me],), float(me)))
        assert all((part == rank).all() for (rank, part) in enumerate(parts)), sizes
        # Rank r gives sizes[r] to each.
        x = torch.zeros(sum(sizes[:n]))
        dist.all_to_all_single(x, torch.full((n * sizes[me],), float(me)), sizes[:n], [sizes[me]] * n)
        assert torch.equal(x, torch.cat(parts)), sizes
        x = torch.zeros(sizes[me])
        dist.reduce_scatter(x, [torch.full((sizes[rank],), float(rank)) for rank in range(n)])
        assert (x == n * me).all(), sizes
    dist.destroy_process_group()


def sparse():
    (me, n) = begin()
    # Parts that overlap, that are empty on a rank, and with dimensions that are dense: places and size.
    cases = [
        (lambda rank: [[0, rank + 1]], (5,)), (lambda rank: [[0, rank + 1], [3, 0]], (5, 4)), (lambda rank: [[0] * rank], (5,)),
        (lambda rank: [[rank, 4]], (5, 3, 2)),
    ]
    for (places, size) in cases:

        def of(rank):
            where = torch.tensor(places(rank), dtype=torch.int64)
            return torch.sparse_coo_tensor(where, torch.full((where.shape[1], *size[where.shape[0]:]), rank + 1.0), size, check_invariants=True)

        wanted = sum(of(rank).to_dense() for rank in range(n))
        for (op, divisor) in ((dist.ReduceOp.SUM, 1), (dist.ReduceOp.AVG, n)):
            x = of(me)
            dist.all_reduce(x, op)
            assert x.is_sparse and torch.equal(x.to_dense(), wanted / divisor), (x, wanted)
        work = dist.all_reduce(x, async_op=True)
        assert work.get_future().wait()[0].is_sparse and torch.allclose(x.to_dense(), wanted)
    # As DDP has them.
    gradients = []
    for is_sparse in (True, False):
        torch.manual_seed(3)
        replica = torch.nn.parallel.DistributedDataParallel(torch.nn.Sequential(torch.nn.Embedding(20, 4, sparse=is_sparse), torch.nn.Linear(4, 1)))
        replica(torch.tensor([me, 5, me + 1])).sum().backward()
        gradient = replica.module[0].weight.grad
        assert gradient.is_sparse == is_sparse
        gradients.append(gradient.to_dense())
    assert torch.allclose(*gradients)
    dist.destroy_process_group()


def monitored():
    """Rank 0 names who does not come, the others are told, and the group goes on."""
    (me, n) = begin()
    dist.monitored_barrier()
    dist.monitored_barrier(wait_all_ranks=True)
    late = range(1, n)
    if me == 0:
        error = raises(verbena.StalledError, lambda: dist.monitored_barrier(timeout=timedelta(milliseconds=50)), "Rank 1 failed to pass monitoredBarrier")
        assert error.rank == 1
        names = "Ranks 1, 2 failed to pass" if n == 3 else "Rank 1 failed to pass"
        raises(verbena.StalledError, lambda: dist.monitored_barrier(timeout=timedelta(milliseconds=50), wait_all_ranks=True), names)
        raises(verbena.StalledError, lambda: dist.monitored_barrier(timeout=timedelta(0)), "Rank 0 timed out in monitoredBarrier")
        dist.barrier()
    else:
        assert me in late
        dist.barrier()
        # Those that come late are told at once.
        for _ in range(3):
            raises(verbena.StalledError, dist.monitored_barrier, f"Rank {me} successfully reached monitoredBarrier", "rank 0")
    for _ in range(3):
        dist.monitored_barrier()
    x = torch.ones(3)
    dist.all_reduce(x)
    assert (x == n).all()
    dist.destroy_process_group()


def shapes():
    (me, _) = begin()
    error = raises(verbena.DisagreedError, lambda: dist.all_reduce(torch.zeros(5 + me)), "rank")
    assert error.is_known_to_all


def model():
    torch.manual_seed(7)
    return torch.nn.Sequential(torch.nn.Linear(40, 64), torch.nn.ReLU(), torch.nn.BatchNorm1d(64), torch.nn.Linear(64, 10))


def losses(backend, steps=20, hook=None, **options):
    (me, n) = begin(backend)
    replica = torch.nn.parallel.DistributedDataParallel(model(), bucket_cap_mb=0.004, **options)
    if hook:
        replica.register_comm_hook(None, hook)
    optimizer = torch.optim.SGD(replica.parameters(), 0.05, momentum=0.9)
    (given, generator) = ([], torch.Generator().manual_seed(3 + me))
    for _ in range(steps):
        (x, y) = (torch.randn(16, 40, generator=generator), torch.randint(0, 10, (16,), generator=generator))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(replica(x), y)
        loss.backward()
        optimizer.step()
        total = loss.detach().clone()
        dist.all_reduce(total)
        given.append(total.item() / n)
    weights = torch.cat([parameter.detach().reshape(-1) for parameter in replica.parameters()])
    dist.destroy_process_group()
    return given, weights


def ddp():
    """Writes the losses, and every bit of the weights."""
    (given, weights) = losses(
        sys.argv[2], hook=verbena.ddp.at_once if sys.argv[3] == "at once" else None, gradient_as_bucket_view=sys.argv[3] == "view")
    print(" ".join(str(loss) for loss in given))
    print(weights.numpy().tobytes().hex())


def fsdp():
    from torch.distributed.fsdp import fully_shard

    (me, n) = begin()
    whole = model()
    sharded = fully_shard(model())
    if sys.argv[2] == "ours":
        sharded.set_allocate_memory_from_process_group_for_comm(True)
    torch.manual_seed(5)
    x = torch.randn(8, 40)
    (a, b) = (torch.optim.SGD(whole.parameters(), 0.1), torch.optim.SGD(sharded.parameters(), 0.1))
    for _ in range(5):
        for (net, optimizer) in ((whole, a), (sharded, b)):
            optimizer.zero_grad()
            loss = net(x).square().mean()
            loss.backward()
            optimizer.step()
        dist.barrier()
    assert abs(whole(x).square().mean().item() - sharded(x).square().mean().item()) < 1e-5
    dist.destroy_process_group()


def zero():
    from torch.distributed.optim import ZeroRedundancyOptimizer

    begin()
    replica = torch.nn.parallel.DistributedDataParallel(model())
    optimizer = ZeroRedundancyOptimizer(replica.parameters(), torch.optim.AdamW, lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        replica(torch.randn(8, 40)).square().mean().backward()
        optimizer.step()
    weights = torch.cat([parameter.detach().reshape(-1) for parameter in replica.parameters()])
    (low, high) = (weights.clone(), weights.clone())
    dist.all_reduce(low, dist.ReduceOp.MIN)
    dist.all_reduce(high, dist.ReduceOp.MAX)
    assert torch.equal(low, high)
    dist.destroy_process_group()


def checkpoint():
    import torch.distributed.checkpoint as dcp

    begin()
    folder = sys.argv[2]
    net = model()
    dcp.save({"model": net.state_dict()}, checkpoint_id=folder)
    other = {key: torch.zeros_like(value) for key, value in net.state_dict().items()}
    dcp.load({"model": other}, checkpoint_id=folder)
    assert all(torch.equal(other[key], value) for key, value in net.state_dict().items())
    dist.destroy_process_group()


def death():
    """A rank dies in the middle of training: every survivor's step raises, and says which rank it was."""
    (me, _) = begin()
    replica = torch.nn.parallel.DistributedDataParallel(model())
    error = None
    for step in range(1 << 20):
        if me == 1 and step == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        began = time.monotonic()
        try:
            replica(torch.randn(8, 40)).square().mean().backward()
        except Exception as raised:
            error = raised
            break
    assert "rank 1" in str(error), error
    print(f"raised after {time.monotonic() - began:.3f} s: {type(error).__name__}: {error}")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
