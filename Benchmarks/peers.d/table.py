"""Results as the tables look at them: per size and mode, everyone's best setting."""

from settings import ALLREDUCE, KIB, MIB


def is_in_detail(asked):
    """Whether a request or a result has charts and a table of every contestant; the others share one."""
    return (asked["collective"], asked["place"], asked["buffers"]) == (ALLREDUCE, "in", "engine")


def size_name(size):
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


def figure(value):
    """The two or three digits that matter."""
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


class Table:
    """One result in one mode."""

    def __init__(self, result, mode):
        self.result, self.mode, self.is_in_detail = result, mode, is_in_detail(result)
        self.titles = {entry["contestant"]: entry["title"] for entry in result["contestants"]}
        self.best = {}
        for point in result["points"]:
            key = (point["contestant"], point["bytes"])
            if point["mode"] == mode and (key not in self.best or point["median"] < self.best[key]["median"]):
                self.best[key] = point
        self.sizes = sorted({size for _, size in self.best})
        self.peers = [
            entry["contestant"] for entry in result["contestants"]
            if entry["isPeer"] and any((entry["contestant"], size) in self.best for size in self.sizes)
        ]

    def microseconds(self, who, size):
        """The median of the best setting, or None."""
        point = self.best.get((who, size))
        return point["median"] if point else None

    def best_peer(self, size):
        """(name, microseconds) of the fastest peer at that size, or None."""
        found = [(self.microseconds(peer, size), peer) for peer in self.peers if self.microseconds(peer, size) is not None]
        return min(found)[::-1] if found else None

    def bus_bandwidth(self, who, size):
        """GB/s (1e9 bytes) by the factors of nccl-tests, or None. A copy has no bus: it is the bytes copied."""
        microseconds = self.microseconds(who, size)
        if not microseconds:
            return None
        others = (self.result["ranks"] - 1) / self.result["ranks"]
        factors = {"allreduce": 2 * others, "broadcast": 1, "reduce": 1}
        factor = 1 if who == "memcpy" else factors.get(self.result["collective"], others)
        return size * factor / microseconds / 1e3

    def ratio(self, size, against):
        """Our bandwidth over that of `best` (the best peer), or of a contestant such as bound or limit."""
        ours = self.microseconds("verbena", size)
        if against == "best":
            peer = self.best_peer(size)
            theirs = peer[1] if peer else None
        else:
            theirs = self.microseconds(against, size)
        return theirs / ours if ours and theirs else None

    def settings_used(self, who):
        """[(setting, [sizes])]: which setting was the best where."""
        used = {}
        for size in self.sizes:
            point = self.best.get((who, size))
            if point:
                used.setdefault(point["setting"], []).append(size)
        return list(used.items())
