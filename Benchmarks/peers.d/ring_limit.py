"""The limit of the wire: as many simultaneous ib_write_bw flows as ranks, in a ring, each rank on its own device."""

import os
import threading
import time

import children
from contestant import Contestant, Failed
from settings import Setting

MESSAGE_BYTES = 65536
FLOW_SECONDS = 12
# How long all flows have to run together at least, and how often the bridge's counters are read meanwhile.
TOGETHER_SECONDS, LOOK_SECONDS = 4, 0.25
# What a packet carries, and what else of it the bridge counts: Ethernet 14, IP 20, UDP 8, BTH 12, ICRC 4.
PAYLOAD_BYTES, HEADER_BYTES = 4096, 58
FIRST_PORT = 18500
LISTEN_SECONDS = 60
TCP_LISTEN = "0A"


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


def look(ranks):
    """(time, [bytes that each host has sent over the bridge])."""
    sent = []
    for rank in range(1, ranks + 1):
        with open(f"/sys/class/net/p{rank}/statistics/rx_bytes", encoding="ascii") as file:
            sent.append(int(file.read()))
    return time.monotonic(), sent


def average_flow(looks):
    """MB/s (1e6 bytes of payload) of a flow, on average over the longest time in which every flow moved between any two looks.

    None where that is shorter than TOGETHER_SECONDS.
    """
    best, first = (0, 0), 0
    for last in range(1, len(looks)):
        if any(later - earlier < MESSAGE_BYTES for earlier, later in zip(looks[last - 1][1], looks[last][1])):
            first = last
        passed = looks[last][0] - looks[first][0]
        sent = sum(looks[last][1]) - sum(looks[first][1])
        best = max(best, (passed, sent))
    passed, sent = best
    if passed < TOGETHER_SECONDS:
        return None
    return sent * PAYLOAD_BYTES / (PAYLOAD_BYTES + HEADER_BYTES) / len(looks[0][1]) / passed / 1e6


class RingLimit(Contestant):
    """Its figure is the time that an allreduce would take whose bus bandwidth is the average flow's bandwidth.

    The bridge tells how much passed. What ib_write_bw prints is no good where its processes have no cores of their own: it counts the
    completions in some seconds out of the middle, and often finds none.
    """

    key, title, is_peer, fabrics = "limit", "ring limit", False, ("rxe",)

    def problem(self, fabric):
        return None if os.path.exists("/usr/bin/ib_write_bw") else "not installed (Debian: perftest); --install gets it"

    def settings(self, fabric, oversubscribed):
        return [Setting("ib_write_bw")]

    def measure(self, job, setting):
        base = ["ib_write_bw", "-x", "1", "-s", str(MESSAGE_BYTES), "-D", str(FLOW_SECONDS), "-F"]
        servers, clients, ports = [], [], set()
        for rank in range(1, job.ranks + 1):
            following = rank % job.ranks + 1
            port = FIRST_PORT + rank
            ports.add(port)
            servers.append(([*base, "-p", str(port), "-d", f"rxe{following}"], {}))
            clients.append(([*base, "-p", str(port), "-d", f"rxe{rank}", f"10.10.0.{following}"], {}))
        outcomes, looks = [], []

        def run(commands):
            outcomes.extend(children.run_together(commands, min(job.child_seconds, 4 * FLOW_SECONDS)))

        threads = [threading.Thread(target=run, args=(commands,)) for commands in (servers, clients)]
        threads[0].start()
        try:
            wait_for_listeners(ports)
            threads[1].start()
            while threads[1].is_alive():
                looks.append(look(job.ranks))
                time.sleep(LOOK_SECONDS)
        finally:
            for thread in threads:
                if thread.ident:
                    thread.join()
        flow = average_flow(looks)
        if flow is None:
            problem = next((outcome.problem() for outcome in outcomes if outcome.problem()), "the machine was too busy")
            raise Failed(f"the flows did not run together for {TOGETHER_SECONDS} s: {problem}")
        factor = 2 * (job.ranks - 1) / job.ranks
        return {(size, mode): size * factor / flow for size in job.sizes for mode in job.modes}
