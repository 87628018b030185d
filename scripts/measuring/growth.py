"""What a server holds while it runs: memory, descriptors, threads, processes; and whether that grows."""
import math
import os
import statistics
import time

from .background import Background
from .cost import tree

SAMPLE_S = 10


def rss_mib(pid, what="VmRSS"):
    """What a process holds; with "VmHWM", the most it ever held."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what)) / 1024


class Census(Background):
    """Samples a process and its children every ten seconds until the `with` block ends."""

    def __init__(self, pid):
        super().__init__()
        self.pid = pid
        self.samples = []

    def _run(self):
        while True:
            try:
                self.samples.append(self.now())
            except (OSError, StopIteration):
                return
            if self.stop.wait(SAMPLE_S):
                return

    def now(self):
        """One sample."""
        processes = tree(self.pid)
        workers = 0
        for worker in processes[1:]:
            try:
                workers += rss_mib(worker)
            except (OSError, StopIteration):
                pass  # it ended meanwhile
        return {
            "at": time.monotonic(),
            "rss": rss_mib(self.pid),
            "workers_rss": workers,
            "files": len(os.listdir(f"/proc/{self.pid}/fd")),
            "threads": len(os.listdir(f"/proc/{self.pid}/task")),
            "processes": len(processes),
        }


def slope(points):
    """(MiB an hour, low, high) of memory at these times (seconds, MiB), by Theil and Sen: the median of the slopes between any two,
    with the interval that holds it in nine of ten cases (Kendall). It is deaf to single points that are off. None with fewer
    than four."""
    if len(points) < 4:
        return None
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0]) * 3600 for i, a in enumerate(points) for b in points[i + 1 :])
    count = len(points)
    width = 1.645 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, int((len(slopes) - width) / 2))
    return statistics.median(slopes), slopes[low], slopes[len(slopes) - 1 - low]
