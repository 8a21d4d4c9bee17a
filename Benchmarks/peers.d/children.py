"""Child processes that always end: each has a bound, and nothing of it is left behind."""

import dataclasses
import os
import signal
import subprocess
import time

# Who we started is found again by this variable, also where a launcher has put it into a process group of its own.
MARK = "VERBENA_PEERS_CHILD"
GRACE_SECONDS = 5


@dataclasses.dataclass
class Outcome:
    status: int
    output: str
    errors: str
    timed_out: bool

    def problem(self):
        """Why the command failed, in one line, or None."""
        if self.timed_out:
            return "did not end within its time"
        if self.status == 0:
            return None
        lines = [line for line in self.errors.splitlines() if any(character.isalnum() for character in line)]
        return f"exit status {self.status}" + (f": {lines[-1].strip()[:160]}" if lines else "")


def marked(mark):
    """Processes whose environment carries the mark."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            pass  # It has ended, or is another user's.
    return found


def signal_all(mark, number):
    for process in marked(mark):
        try:
            os.kill(process, number)
        except ProcessLookupError:
            pass


def end_all(mark):
    """Ends what carries the mark, politely first, so that launchers can clean up."""
    signal_all(mark, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    signal_all(mark, signal.SIGKILL)


def run_together(commands, seconds):
    """Runs several (command, environment) at once; their outcomes in that order. `seconds` bounds all of them together."""
    mark = f"{os.getpid()}.{time.monotonic_ns()}"
    children, outcomes = [], []
    deadline = time.monotonic() + seconds
    try:
        for command, environment in commands:
            children.append(
                subprocess.Popen(
                    command, env={**os.environ, **environment, MARK: mark}, text=True, errors="replace", process_group=0,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        for child in children:
            timed_out = False
            try:
                output, errors = child.communicate(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                timed_out = True
                end_all(mark)
                output, errors = child.communicate()
            outcomes.append(Outcome(child.returncode, output, errors, timed_out))
    finally:
        if marked(mark):
            end_all(mark)
        for child in children:
            child.wait()
    return outcomes


def run(command, seconds, environment=None):
    """Runs one command; see run_together."""
    try:
        return run_together([(command, environment or {})], seconds)[0]
    except OSError as error:
        return Outcome(127, "", str(error), False)
