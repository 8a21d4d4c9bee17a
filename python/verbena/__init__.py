"""Verbena: collectives between processes, over shared memory or RDMA.

    import numpy as np, verbena

    with verbena.Communicator() as ranks:      # torchrun, mpirun or srun say who this process is
        x = ranks.allocate(1_000_000)          # exchanged without a copy; any NumPy array works as well
        x[:] = ranks.rank
        ranks.all_reduce(x, "average")

``init_process_group("verbena")`` does the same for torch.distributed; see ``verbena.torch``.
"""

from ._library import library as _calls
from .communicator import Communicator, Request
from .errors import (
    AbortedError, ClosedError, ConfigurationError, DiedError, DisagreedError, LeftError, ResourceError, StalledError, UnreachableError,
    VerbenaError,
)

__version__: str = _calls.verbena_version().decode()

__all__ = [
    "Communicator", "Request", "VerbenaError", "DiedError", "UnreachableError", "StalledError", "DisagreedError", "AbortedError", "LeftError",
    "ClosedError", "ConfigurationError", "ResourceError", "__version__",
]
