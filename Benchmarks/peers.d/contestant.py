"""What every contestant has in common: its job, its driver, its figures."""

import dataclasses
import hashlib
import os
import re

import children
from settings import Setting

HERE = os.path.dirname(os.path.abspath(__file__))
FLAGS = ("-O3", "-Wall")
BUILD_SECONDS = 120
PAGE_BYTES = 4096


class Failed(Exception):
    """A contestant could not be measured; the text says why."""


@dataclasses.dataclass
class Job:
    """What to measure, once.

    `place` is in or out; `buffers` is whose memory we exchange, the engine's or its caller's; `folder` is scratch; `child_seconds` bounds every
    child process.
    """

    fabric: str
    ranks: int
    collective: str
    place: str
    buffers: str
    sizes: list
    modes: list
    point_seconds: float
    child_seconds: float
    folder: str

    def arguments(self, page):
        """What measure.c wants to be told."""
        sizes = ",".join(map(str, self.sizes))
        wire = "bridge" if self.fabric == "rxe" else "memory"
        return [page, self.collective, self.place, sizes, ",".join(self.modes), str(self.point_seconds), wire]

    @property
    def oversubscribed(self):
        return self.ranks > len(os.sched_getaffinity(0))

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
    fabrics = ("shm", "rxe")
    # Measured in every collective, or as an allreduce in place alone.
    has_all = False

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

    def settings_of(self, job):
        """Those of them that mean something to the job's collective."""
        found = self.settings(job.fabric, job.oversubscribed)
        return [setting for setting in found if setting.collective in (None, job.collective)]

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
