"""What the ranks of test_numpy.py do: one function for each test, named by the first argument."""

import sys

import numpy as np

import verbena


def raises(kind, call, *words):
    try:
        call()
    except kind as error:
        for word in words:
            assert word in str(error), f"{word!r} is not in: {error}"
        assert "\n" not in str(error)
        return error
    raise AssertionError(f"no {kind.__name__}")


def inputs(ranks, shape, dtype, whose):
    count = int(np.prod(shape))
    return ((np.arange(count) * 7 + whose * 3) % 11 + 1).reshape(shape).astype(dtype)


def collectives():
    """Every collective on arrays of the engine, on others, and on some that are not contiguous, against NumPy."""
    types = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
    try:
        import ml_dtypes

        types.append(ml_dtypes.bfloat16)
    except ImportError:
        print("without bfloat16: ml_dtypes is not installed")
    with verbena.Communicator() as ranks:
        (n, me) = (ranks.world_size, ranks.rank)

        def made(kind, shape, dtype):
            if kind == "pool":
                return ranks.allocate(shape, dtype)
            if kind == "strided":
                return np.zeros((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2]
            return np.zeros(shape, dtype)

        for kind in ("pool", "own", "strided"):
            for dtype in types:
                for shape in ((1,), (5, 7), (300_001,) if dtype in ("float32", "int16") else (1_000,)):
                    def given(rank, blocks=1):
                        return inputs(ranks, (blocks, *shape), dtype, rank)

                    wide = [given(rank, n).astype(np.float64) for rank in range(n)]
                    narrow = [given(rank)[0].astype(np.float64) for rank in range(n)]

                    def same(array, wanted):
                        assert (array.astype(np.float64) == wanted.astype(array.dtype).astype(np.float64)).all(), (kind, dtype, shape)

                    x = made(kind, shape, dtype)
                    x[...] = given(me)[0]
                    ranks.all_reduce(x)
                    same(x, sum(narrow))
                    x[...] = given(me)[0]
                    out = made(kind, shape, dtype)
                    ranks.all_reduce(x, "maximum", out=out)
                    same(out, np.max(narrow, axis=0))
                    whole = made(kind, (n, *shape), dtype)
                    ranks.all_gather(x, whole)
                    same(whole, np.stack(narrow))
                    whole[...] = given(me, n)
                    ranks.reduce_scatter(whole, x)
                    same(x, sum(wide)[me])
                    # In place: the own block inside the whole.
                    whole[me] = given(me)[0]
                    ranks.all_gather(whole[me], whole)
                    same(whole, np.stack(narrow))
                    whole[...] = given(me, n)
                    ranks.reduce_scatter(whole, whole[me])
                    same(whole[me], sum(wide)[me])
                    whole[...] = given(me, n)
                    other = made(kind, (n, *shape), dtype)
                    ranks.all_to_all(whole, other)
                    same(other, np.stack([wide[rank][me] for rank in range(n)]))
                    for root in range(n):
                        x[...] = given(me)[0]
                        ranks.broadcast(x, root)
                        same(x, narrow[root])
                        x[...] = given(me)[0]
                        ranks.reduce(x, root)
                        same(x, sum(narrow) if me == root else narrow[me])
                        x[...] = given(me)[0]
                        ranks.gather(x, whole if me == root else None, root)
                        if me == root:
                            same(whole, np.stack(narrow))
                        whole[...] = given(me, n)
                        ranks.scatter(whole if me == root else None, x, root)
                        same(x, wide[root][me])
        ranks.barrier()


def transfers():
    with verbena.Communicator() as ranks:
        (right, left) = ((ranks.rank + 1) % ranks.world_size, (ranks.rank - 1) % ranks.world_size)
        for count in (0, 1, 9_999, 100_001):
            for turn in (0, 1):
                # Even ranks send first, so that nobody waits in a circle.
                if (ranks.rank + turn) % 2 == 0:
                    ranks.send(np.full(count, ranks.rank, np.float64), right)
                else:
                    x = np.zeros(count)
                    ranks.receive(x, left)
                    assert (x == left).all()
        raises(verbena.ConfigurationError, lambda: ranks.send(np.zeros(1), ranks.rank), "another rank")


def requests():
    with verbena.Communicator() as ranks:
        arrays = [np.full(50_000, ranks.rank + 1.0) for _ in range(4)]
        made = [ranks.start_all_reduce(array) for array in arrays]
        assert verbena.Request.wait_any(made, 60) is not None
        for request in made:
            assert request.wait() and request.is_done() and request.wait(1)
        for array in arrays:
            assert (array == ranks.world_size * (ranks.world_size + 1) / 2).all()
        assert verbena.Request.wait_any([]) is None
        half = ranks.split(ranks.rank % 2, ranks.rank)
        x = np.ones(3)
        half.all_reduce(x)
        assert (x == half.world_size).all()
        half.close()
        assert ranks.split(None) is None
        assert "us predicted" in ranks.explain("all_reduce", 1024) and ranks.status() is None


def arguments():
    with verbena.Communicator() as ranks:
        bad = verbena.ConfigurationError
        raises(bad, lambda: ranks.all_reduce(np.zeros(3, complex)), "complex128", "float32")
        raises(bad, lambda: ranks.all_reduce(np.zeros(3, ">f4")), ">f4")
        raises(bad, lambda: ranks.all_reduce(np.zeros(3), "xor"), "xor", "sum")
        raises(bad, lambda: ranks.all_gather(np.zeros(3), np.zeros(4)), "give 6")
        raises(bad, lambda: ranks.all_reduce(np.zeros(3), out=np.zeros(3, np.float32)), "float64 and float32")
        raises(bad, lambda: ranks.all_reduce(object()), "object")
        frozen = np.zeros(3)
        frozen.flags.writeable = False
        raises(bad, lambda: ranks.all_reduce(frozen), "read-only")
        raises(bad, lambda: ranks.explain("all", 3), "all_reduce")
        raises(bad, lambda: ranks.broadcast(np.zeros(3), 7), "root")
        raises(ValueError, lambda: verbena.Communicator(rank=0), "world_size")
        x = bytearray(8)
        ranks.all_reduce(x)
    raises(verbena.ClosedError, lambda: ranks.all_reduce(np.zeros(3)))


def disagreement():
    ranks = verbena.Communicator()
    error = raises(verbena.DisagreedError, lambda: ranks.all_reduce(np.zeros(5 + ranks.rank)))
    assert error.is_known_to_all and error.rank is not None and ranks.status() is not None
    ranks.leave()


def death():
    ranks = verbena.Communicator()
    ranks.barrier()
    if ranks.rank == 1:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
    error = raises(verbena.DiedError, lambda: [ranks.all_reduce(np.zeros(5)) for _ in range(1 << 30)], "rank 1")
    assert error.rank == 1 and error.is_known_to_all
    ranks.leave()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
