"""How the ranks of a process group meet: through torch's own store."""

from __future__ import annotations

import os
import secrets
import socket
from typing import Any

from ._torch_work import seconds
from .communicator import Communicator


def _own_address() -> str:
    """The address of this machine by which the others reach it: the one from which it reaches MASTER_ADDR."""
    master = os.environ.get("MASTER_ADDR", "")
    try:
        family = socket.getaddrinfo(master, 9)[0][0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((master, 9))
            address: str = probe.getsockname()[0]
    except OSError:
        address = "127.0.0.1"
    return socket.gethostname() if address.startswith("127.") or address == "::1" else address


def meet(store: Any, rank: int, size: int, name: str, timeout: Any) -> Communicator:
    store.set(f"verbena/host/{rank}", socket.gethostname())
    hosts = {bytes(store.get(f"verbena/host/{other}")) for other in range(size)}
    if rank == 0:
        with socket.socket() as free:
            free.bind(("", 0))
            port = free.getsockname()[1]
        address = "127.0.0.1" if len(hosts) == 1 else _own_address()
        store.set("verbena/job", f"{address} {port} {secrets.token_hex(16)}")
    (address, port_text, secret) = bytes(store.get("verbena/job")).decode().split()
    communicator = Communicator(
        rank=rank, world_size=size, address=address, port=int(port_text), secret=secret, job_id=name or None,
        join_timeout=seconds(timeout) or 0)
    # All have joined, so all have read. A group that is made anew must not find what was said for this one.
    if rank == 0:
        for key in ["verbena/job"] + [f"verbena/host/{other}" for other in range(size)]:
            store.delete_key(key)
    return communicator
