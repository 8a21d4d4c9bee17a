"""The limit of the wire: as many simultaneous ib_write_bw flows as ranks, in a ring, each rank on its own device."""

import os
import re
import threading
import time

import children
from contestant import Contestant, Failed
from settings import Setting

MESSAGE_BYTES = 65536
FLOW_SECONDS = 6
ATTEMPTS = 3
FIRST_PORT = 18500
LISTEN_SECONDS = 60
TCP_LISTEN = "0A"


def parse_flow(text):
    """MB/s (1e6 bytes) of one flow, out of ib_write_bw's output with --report_gbits."""
    match = re.search(rf"^\s*{MESSAGE_BYTES}\s+\d+\s+\S+\s+([0-9.]+)", text, re.MULTILINE)
    if not match:
        raise Failed("ib_write_bw printed no bandwidth")
    return float(match[1]) * 1000 / 8


def listening_ports(text):
    """Ports in state LISTEN, out of /proc/net/tcp."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return {int(row[1].rsplit(":", 1)[1], 16) for row in rows if row[3] == TCP_LISTEN}


def wait_for_listeners(ports):
    deadline = time.monotonic() + LISTEN_SECONDS
    while time.monotonic() < deadline:
        found = set()
        for name in ("/proc/net/tcp", "/proc/net/tcp6"):
            if os.path.exists(name):
                with open(name, encoding="ascii") as file:
                    found |= listening_ports(file.read())
        if ports <= found:
            return
        time.sleep(0.05)
    raise Failed(f"ib_write_bw's servers did not listen within {LISTEN_SECONDS} s")


class RingLimit(Contestant):
    """Its figure is the time that an allreduce would take whose bus bandwidth is the average flow's bandwidth."""

    key, title, is_peer, fabrics = "limit", "ring limit", False, ("rxe",)

    def problem(self, fabric):
        return None if os.path.exists("/usr/bin/ib_write_bw") else "not installed (Debian: perftest); --install gets it"

    def settings(self, fabric, oversubscribed):
        return [Setting("ib_write_bw")]

    def flows(self, job):
        """MB/s of every flow. Both ends count only the seconds in the middle, when all are running."""
        base = ["ib_write_bw", "-x", "1", "-s", str(MESSAGE_BYTES), "-D", str(FLOW_SECONDS), "-F", "--report_gbits"]
        servers, clients, ports = [], [], set()
        for rank in range(1, job.ranks + 1):
            following = rank % job.ranks + 1
            port = FIRST_PORT + rank
            ports.add(port)
            servers.append(([*base, "-p", str(port), "-d", f"rxe{following}"], {}))
            clients.append(([*base, "-p", str(port), "-d", f"rxe{rank}", f"10.10.0.{following}"], {}))
        served = []
        thread = threading.Thread(target=lambda: served.extend(children.run_together(servers, job.child_seconds)))
        thread.start()
        try:
            wait_for_listeners(ports)
            outcomes = children.run_together(clients, job.child_seconds)
        finally:
            thread.join()
        for outcome in outcomes + served:
            if outcome.problem():
                raise Failed(outcome.problem())
        return [parse_flow(outcome.output) for outcome in outcomes]

    def measure(self, job, setting):
        # A flow whose seconds went by while its process had no core reports nothing.
        for _ in range(ATTEMPTS):
            flows = self.flows(job)
            if min(flows) > 0:
                break
        else:
            raise Failed(f"ib_write_bw reported 0 MB/s {ATTEMPTS} times: the machine was too busy for it to measure")
        average = sum(flows) / len(flows)
        factor = 2 * (job.ranks - 1) / job.ranks
        return {(size, mode): size * factor / average for size in job.sizes for mode in job.modes}
