"""Sums of sparse tensors (COO), for the torch backend: what is set on any rank is gathered, and each rank adds it up in the same order."""

from __future__ import annotations

from typing import Callable, List, Optional

import torch

from ._torch_work import Elements
from .communicator import Communicator
from .errors import ConfigurationError


def all_reduce_sparse(
    communicator: Communicator, tensor: torch.Tensor, is_average: bool, timeout: Optional[float],
    gathered: Callable[[torch.Tensor, Optional[float]], torch.Tensor],
) -> None:
    """Args:
        gathered: gives all ranks' tensors of one shape, along a new first axis.
    """
    given = tensor.coalesce()
    (places, values) = (given.indices().t().contiguous(), given.values().contiguous())
    # The same number of elements on every rank, so that any two tensors can be told apart.
    shapes = gathered(torch.tensor([values.shape[0], given.sparse_dim(), given.dense_dim(), given.numel()]), timeout).tolist()
    for (rank, shape) in enumerate(shapes):
        if shape[1:] != shapes[communicator.rank][1:]:
            raise ConfigurationError(
                f"allreduce: sparse tensors of one size are summed; rank {rank} has {shape[3]} elements in {shape[1]} sparse and {shape[2]} dense dimensions, "
                f"this rank {given.numel()} in {given.sparse_dim()} and {given.dense_dim()}")
    counts = [shape[0] for shape in shapes]
    (places, values) = (_all(communicator, part, counts, timeout) for part in (places, values))
    total = torch.sparse_coo_tensor(places.t(), values, given.shape, check_invariants=False).coalesce()
    tensor.copy_(total / len(counts) if is_average else total)


def _all(communicator: Communicator, rows: torch.Tensor, counts: List[int], timeout: Optional[float]) -> torch.Tensor:
    """Every rank's rows, one rank's after another's; ``counts`` says how many each has."""
    every = torch.empty((sum(counts), *rows.shape[1:]), dtype=rows.dtype)
    (source, target) = (Elements(rows, "allreduce"), Elements(every, "allreduce"))
    width = target.count // max(1, sum(counts))
    sizes = [count * width for count in counts]
    communicator.run_uneven("all_gather_v", source.code, (sizes,), (), source.place, target.place, timeout)
    return every
