"""Says what this machine and this Python offer: ``python -m verbena.doctor``. The exit status is 1 where no ranks could exchange anything."""

from __future__ import annotations

import ctypes
import os
import sys

import numpy as np

import verbena
from verbena._library import _path


def main() -> int:
    print(f"ok    library        verbena {verbena.__version__}, {_path()}")
    try:
        with verbena.Communicator(rank=0, world_size=1, secret="doctor") as alone:
            alone.all_reduce(np.ones(4))
            print(f"ok    one rank       joins, exchanges on {alone.fabric_name}")
    except verbena.VerbenaError as error:
        print(f"lack  one rank       {error}")
        return 1
    for name in ("libibverbs.so.1", "librdmacm.so.1"):
        try:
            ctypes.CDLL(name)
            print(f"ok    RDMA library   {name}")
        except OSError:
            print(f"lack  RDMA library   {name}: ranks of several machines need it (apt-get install libibverbs1 librdmacm1 ibverbs-providers)")
    folder = "/sys/class/infiniband"
    devices = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    print(f"ok    RDMA devices   {', '.join(devices)}" if devices else "note  RDMA devices   none: ranks of this machine exchange through shared memory")
    try:
        import torch

        print(f"ok    torch          {torch.__version__}" + ("" if int(torch.__version__.split(".")[0]) >= 2 else ": older than 2, its backends have another interface"))
    except ImportError:
        print("note  torch          not installed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
