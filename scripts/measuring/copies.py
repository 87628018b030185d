"""Two servers side by side that record the same streams, one of which copies them to a store: what that costs it."""
import contextlib
import time

from .away import wait_for
from .bucket import Bucket
from .cost import cpu_seconds
from .growth import rss_mib
from .programs import WORK, copy_push, started
from .server import Weir

# Minutes of streams that began together are copied together, shortly after their ends; counting begins and ends between two of those.
COPIED_WITHIN_S = 150
BETWEEN_S = 15
QUIET = {"WEIR_TRANSCODE__THUMBNAIL_S": "0"}


class Bill:
    """Of the server that copies and of the one that does not, in this order: CPU seconds a second in each minute, MiB held at each
    minute's rim, and the most they ever held. And how many bytes were copied."""

    def __init__(self, weirs):
        self.weirs = weirs
        self.spent, self.held, self.peaks, self.copied_bytes = [], [self._held()], [], 0

    def _held(self):
        return [rss_mib(weir.pid) for weir in self.weirs]

    def run(self, minutes):
        """Counts for so long."""
        spent = [cpu_seconds(weir.pid) for weir in self.weirs]
        start = rim = time.monotonic()
        for minute in range(1, minutes + 1):
            time.sleep(max(0.0, start + 60 * minute - time.monotonic()))
            now, at = [cpu_seconds(weir.pid) for weir in self.weirs], time.monotonic()
            self.spent.append([(after - before) / (at - rim) for after, before in zip(now, spent)])
            spent, rim = now, at
            self.held.append(self._held())
        self.peaks = [rss_mib(weir.pid, "VmHWM") for weir in self.weirs]


def measure(clip, count, minutes):
    """The bill of so many streams for so many minutes."""
    WORK.mkdir(parents=True, exist_ok=True)
    with Bucket() as bucket, Weir(environment={**QUIET, **bucket.environment}) as copying, Weir(environment=QUIET) as recording, contextlib.ExitStack() as stack:
        weirs, publishers = (copying, recording), []
        for number in range(count):
            for weir in weirs:
                key = weir.add_stream(f"s{number}", "--ladder", "none", "--record", "always")
                publishers.append(stack.enter_context(started(copy_push(clip, f"rtmp://{weir.rtmp}/live/{key}"))))
        for weir in weirs:
            weir.wait_live(f"s{count - 1}", segments=2)
        # A minute's journal is sent last.
        wait_for("the first copies", COPIED_WITHIN_S, lambda: sum(name.endswith("/journal") for name in bucket.objects()) >= count)
        time.sleep(BETWEEN_S)
        copied, bill = bucket.media_bytes(), Bill(weirs)
        bill.run(minutes)
        bill.copied_bytes = bucket.media_bytes() - copied
        if any(publisher.poll() is not None for publisher in publishers):
            raise RuntimeError("not all publishers pushed to the end")
    return bill
