"""Measures allreduce as nccl-tests do, from Python: ``torchrun --nproc_per_node 2 -m verbena.allreduce -b 8 -e 64M -f 8``.

Columns, units and options are those of nccl-tests and of rdma-allreduce. The exit status is 7 where a result was wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import List, Optional

import numpy as np

import verbena


def _bytes(text: str) -> int:
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    return int(text[:-1] if factor > 1 else text) * factor


def main(arguments: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m verbena.allreduce", description="Measures allreduce of float between the ranks of a job.")
    parser.add_argument("-b", "--minbytes", type=_bytes, default=32 << 20, help="smallest size (32M)")
    parser.add_argument("-e", "--maxbytes", type=_bytes, default=32 << 20, help="largest size (32M)")
    parser.add_argument("-f", "--stepfactor", type=int, default=2, help="factor from one size to the next (2)")
    parser.add_argument("-n", "--iters", type=int, default=20, help="timed iterations of a size (20)")
    parser.add_argument("-w", "--warmup_iters", type=int, default=1, help="iterations before the timed ones (1)")
    parser.add_argument("--buffers", choices=["engine", "caller"], default="engine", help="whose memory is exchanged")
    options = parser.parse_args(arguments)
    if options.minbytes < 4 or options.maxbytes < options.minbytes or options.stepfactor < 2 or options.iters < 1 or options.warmup_iters < 0:
        parser.error("give sizes of 4 bytes or more, the largest no smaller than the smallest, a factor of 2 or more, and iterations")
    wrong = 0
    with verbena.Communicator() as ranks:
        (n, count) = (ranks.world_size, options.maxbytes // 4)
        (source, target) = (ranks.allocate(count), ranks.allocate(count)) if options.buffers == "engine" else (np.zeros(count, np.float32),) * 2
        if options.buffers == "caller":
            target = np.zeros(count, np.float32)
        if ranks.rank == 0:
            print(f"# verbena.allreduce {verbena.__version__} ranks {n} fabric {ranks.fabric_name} buffers of the {options.buffers}")
            print("#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong")
            print("#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)")
        size = options.minbytes
        while size <= options.maxbytes:
            elements = size // 4
            samples = []
            for (x, out) in ((source[:elements], target[:elements]), (target[:elements], None)):
                for iteration in range(options.warmup_iters + options.iters):
                    if iteration == options.warmup_iters:
                        ranks.barrier()
                        begin = time.perf_counter()
                    ranks.all_reduce(x, out=out)
                seconds = (time.perf_counter() - begin) / options.iters
                x[:] = ranks.rank + 1
                ranks.all_reduce(x, out=out)
                bad = int(((x if out is None else out) != n * (n + 1) / 2).sum())
                wrong += bad
                times = np.array([seconds])
                ranks.all_reduce(times, "average")
                rate = size / times[0] / 1e9
                samples.append(f"{times[0] * 1e6:9.2f} {rate:7.2f} {rate * 2 * (n - 1) / n:7.2f} {bad:6d}")
                x[:] = 0
            if ranks.rank == 0:
                print(f"{size:12d} {elements:13d}     float     sum      -1" + " ".join(samples), flush=True)
            size *= options.stepfactor
        if ranks.rank == 0:
            print(f"# Out of bounds values : {wrong} {'OK' if wrong == 0 else 'FAILED'}")
    return 7 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
