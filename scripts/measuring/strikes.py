"""Faults of workers and of the machine, and what playlists show meanwhile."""
import contextlib
import os
import pathlib
import signal
import sys
import time

from .background import Background
from .cost import tree
from .programs import started


def parts(weir, path):
    """What a media playlist lists: ({(number, part)} with media, {number} with a gap, {number} with a discontinuity, ended)."""
    media, gaps, breaks, number, part = set(), set(), set(), 0, 0
    text = (weir.get(path) or b"").decode()
    for line in text.splitlines():
        if line.startswith("#EXT-X-MEDIA-SEQUENCE:"):
            number = int(line.split(":")[1])
        elif line.startswith("#EXT-X-PART:"):
            (gaps.add(number) if "GAP=YES" in line else media.add((number, part)))
            part += 1
        elif line == "#EXT-X-GAP":
            gaps.add(number)
        elif line == "#EXT-X-DISCONTINUITY":
            breaks.add(number)
        elif line and not line.startswith("#"):
            number, part = number + 1, 0
    return media, gaps, breaks, "#EXT-X-ENDLIST" in text


class Eyes(Background):
    """Looks at media playlists again and again and keeps every gap and discontinuity, and the longest time in which the first
    one listed no new part."""

    def __init__(self, weir, paths):
        super().__init__()
        self.weir, self.paths = weir, paths
        self.gaps, self.breaks = ({path: set() for path in paths} for _ in range(2))
        self.ended, self.longest = False, 0.0

    def _run(self):
        newest, since = None, time.monotonic()
        while not self.stop.wait(0.1):
            for path in self.paths:
                media, gaps, breaks, ended = parts(self.weir, path)
                self.gaps[path] |= gaps
                self.breaks[path] |= breaks
                self.ended |= ended
                if path == self.paths[0] and media:
                    now = time.monotonic()
                    if max(media) != newest:
                        newest, since = max(media), now
                    self.longest = max(self.longest, now - since)


def is_ladder(pid):
    """Whether there is a process of this id, and it is a ladder's worker."""
    try:
        return b"ladder" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def worker_of(weir):
    """The process id of the one ladder worker; None while there is none."""
    return next((pid for pid in tree(weir.pid)[1:] if is_ladder(pid)), None)


def strike(pid, name):
    """Sends the fault; a worker's own handler takes the first SIGSEGV for a stack overflow that it was not."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, getattr(signal, name))
        while name == "SIGSEGV" and pathlib.Path(f"/proc/{pid}/stat").exists():
            time.sleep(0.01)
            os.kill(pid, signal.SIGSEGV)


def back_after(weir, source, rungs, since):
    """Seconds from `since` until every rung lists a part of pictures that the source sent later: the worker that was struck
    cannot have made it. None when one has not after 20 s."""
    known = max(parts(weir, source)[0])
    took = {}
    while time.monotonic() < since + 20 and len(took) < len(rungs):
        for rung in rungs:
            if rung not in took and max(parts(weir, rung)[0], default=(0, 0)) > known:
                took[rung] = time.monotonic() - since
        time.sleep(0.02)
    return max(took.values()) if len(took) == len(rungs) else None


@contextlib.contextmanager
def hogs():
    """Programs that only take processor time, four for each core, so that the server gets a fraction of the machine."""
    with contextlib.ExitStack() as stack:
        for _ in range(4 * os.cpu_count()):
            stack.enter_context(started([sys.executable, "-c", "while True: pass"]))
        yield
