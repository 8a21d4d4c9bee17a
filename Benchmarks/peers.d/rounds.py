"""The measurement: a rehearsal, then rounds in which the contestants take turns."""

import os
import platform
import statistics
import time

from contestant import Failed, Job
from settings import KIB, MIB

# Within a round, small, middle and large sizes are gone through one after the other, so that the contestants' figures of
# one size are taken close to each other in time.
CLASSES = (16 * KIB, MIB, 1 << 62)
# An entry that fails in the rehearsal, or this often later, is not tried again.
MOST_FAILURES = 2
# A peer's setting that was this much slower in the rehearsal than the peer's best is not measured again at that size.
HOPELESS = 1.5
# What the rehearsal gets of the time for a figure, and of the bound on a child.
REHEARSAL_SHARE = 0.4


class Entry:
    """One contestant with one setting, and the sizes at which it is still worth measuring."""

    def __init__(self, contestant, setting, sizes):
        self.contestant, self.setting = contestant, setting
        self.sizes = [size for size in sizes if size >= setting.least_bytes]
        self.samples = {}
        self.failures = []

    def name(self):
        return f"{self.contestant.title} ({self.setting.name})"

    def add(self, points):
        for key, microseconds in points.items():
            self.samples.setdefault(key, []).append(microseconds)


def say(text):
    print(text, flush=True)


def measure_entry(entry, job):
    """Measures the entry's share of the job's sizes; a failure is noted, and said."""
    sizes = [size for size in job.sizes if size in entry.sizes]
    if not sizes:
        return {}
    try:
        return entry.contestant.measure(Job(**{**vars(job), "sizes": sizes}), entry.setting)
    except Failed as failure:
        entry.failures.append(str(failure))
        say(f"  failed: {entry.name()}: {failure}")
        return {}


def keep_hopeful(entries):
    """Takes from each entry the sizes at which another setting of the same contestant is far better."""
    for entry in entries:
        rivals = [other for other in entries if other.contestant is entry.contestant]
        keys = set(entry.samples)
        hopeful = {
            key[0] for key in keys
            if entry.samples[key][-1] <= HOPELESS * min(other.samples[key][-1] for other in rivals if key in other.samples)
        }
        entry.sizes = [size for size in entry.sizes if size in hopeful]


def machine():
    """What the figures were taken on."""
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load": round(os.getloadavg()[0], 2),
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def measure(contestants, job, rounds, classes=CLASSES):
    """Measures everyone as the job says; returns the result that is written as JSON."""
    began_on = machine()
    entries, skipped, versions = [], [], {}
    for contestant in contestants:
        problem = contestant.problem(job.fabric)
        if not problem:
            try:
                contestant.build()
                versions[contestant.key] = contestant.version()
            except Failed as failure:
                problem = str(failure)
        if problem:
            skipped.append({"contestant": contestant.key, "title": contestant.title, "reason": problem})
            say(f"  skipped: {contestant.title}: {problem}")
            continue
        entries += [Entry(contestant, setting, job.sizes) for setting in contestant.settings_of(job)]
    say(f"{job.fabric}, {job.ranks} ranks, {job.collective} {job.place}, {job.buffers}: {len(entries)} settings of {len(versions)} contestants")
    hopeful = rehearse(entries, job)
    for number in range(1, rounds + 1):
        began = time.monotonic()
        lower = 0
        for upper in classes:
            sizes = [size for size in job.sizes if lower < size <= upper]
            lower = upper
            # Nobody always comes first.
            turn = number % max(1, len(hopeful))
            for entry in hopeful[turn:] + hopeful[:turn]:
                if len(entry.failures) < MOST_FAILURES:
                    entry.add(measure_entry(entry, Job(**{**vars(job), "sizes": sizes})))
        say(f"  round {number} of {rounds}: {time.monotonic() - began:.0f} s")
    return result_of(entries, versions, skipped, job, rounds, began_on)


def rehearse(entries, job):
    """A first pass that counts for nothing: it warms up, finds out who fails, and which settings are worth their time."""
    began = time.monotonic()
    shorter = {name: REHEARSAL_SHARE * vars(job)[name] for name in ("point_seconds", "child_seconds")}
    short = Job(**{**vars(job), **shorter})
    for entry in entries:
        entry.add(measure_entry(entry, short))
    found = [entry for entry in entries if entry.samples]
    keep_hopeful(found)
    for entry in found:
        entry.samples = {}
    say(f"  rehearsal: {time.monotonic() - began:.0f} s")
    return found


def result_of(entries, versions, skipped, job, rounds, began_on):
    names = {entry.contestant.key: entry.contestant for entry in entries}
    return {
        "fabric": job.fabric,
        "ranks": job.ranks,
        "collective": job.collective,
        "place": job.place,
        "buffers": job.buffers,
        "rounds": rounds,
        "pointSeconds": job.point_seconds,
        "machine": began_on,
        "contestants": [
            {"contestant": key, "title": value.title, "version": versions[key], "isPeer": value.is_peer} for key, value in names.items()
        ],
        "skipped": skipped,
        "failures": [
            {"contestant": entry.contestant.key, "title": entry.contestant.title, "setting": entry.setting.name, "reason": reason}
            for entry in entries
            for reason in entry.failures
        ],
        "points": [
            {
                "contestant": entry.contestant.key,
                "setting": entry.setting.name,
                "bytes": size,
                "mode": mode,
                "microseconds": [round(sample, 4) for sample in samples],
                "median": round(statistics.median(samples), 4),
            }
            for entry in entries
            for (size, mode), samples in sorted(entry.samples.items())
        ],
    }
