"""Ranks of one job as processes of this machine, for tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional, Tuple

HERE = Path(__file__).parent
#: Generous: what a test waits for so long hangs.
PATIENCE_SECONDS = 240


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(world_size: int, program: str, *arguments: str, environment: Optional[Dict[str, str]] = None) -> "List[subprocess.Popen[str]]":
    """Starts ``world_size`` ranks of a program of this folder."""
    port = free_port()
    processes = []
    for rank in range(world_size):
        variables = dict(
            os.environ, RANK=str(rank), WORLD_SIZE=str(world_size), LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
            VERBENA_SECRET="of this test", OMP_NUM_THREADS="1", **(environment or {}))
        processes.append(subprocess.Popen(
            [sys.executable, str(HERE / program), *arguments], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    return processes


def end(processes: "List[subprocess.Popen[str]]") -> List[Tuple[int, str, str]]:
    """Waits for all, and gives each one's exit status and what it wrote."""
    results = []
    try:
        for process in processes:
            (out, err) = process.communicate(timeout=PATIENCE_SECONDS)
            results.append((process.returncode, out, err))
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
    return results


def run(world_size: int, program: str, *arguments: str, environment: Optional[Dict[str, str]] = None) -> List[Tuple[int, str, str]]:
    return end(start(world_size, program, *arguments, environment=environment))
