"""The store that recordings are copied to dies in four ways while a stream is live, and comes back: whether viewers notice, whether
the operator is told, how fast the copies catch up, and whether every byte is there in the end."""
import hashlib
import math
import os
import statistics
import time

from .away import wait_for
from .background import Background
from .bucket import Bucket, digest, recorded
from .playlists import read_segments
from .programs import copy_push, pattern, started
from .punctual import Punctual
from .recorded import ENDED_WITHIN_S, STREAM, listed
from .server import Weir

FAULTS = ["refuse", "stall", "503", "cut"]
# Noise, so that every second of it takes as much.
STEADY = ("-vf", "noise=alls=20:allf=t", "-g", "60", "-sc_threshold", "0", "-bf", "2", "-b:v", "6000k", "-minrate", "6000k", "-maxrate", "6000k", "-bufsize", "6000k")
# Long enough for a whole minute and its copy, and for one part in a hundred to be several.
BEFORE_S, BEFORE_SHARE = 100, 0.3
AFTER_S = 30
LOOK_S = 1
# A minute is copied when it is over. It is sent at once then, or again within a minute when the store was away.
COPIED_WITHIN_S = 180
LATER_MAX_MS = 10
CAUGHT_UP_MIN = 4
# What is told of ages is looked at every five seconds, and the oldest minute that waits may have begun to be sent before the store died.
TOLD_SLACK_S = 15


class Ledger(Background):
    """What the server tells of its copies, each second until the `with` block ends, and how busy the machine is."""

    def __init__(self, weir):
        super().__init__()
        self.weir = weir
        # (wall clock, age of the oldest by the metric, the API's words about copies, whether it warns, load)
        self.told, self.troubles = [], []

    def _run(self):
        while not self.stop.wait(LOOK_S):
            try:
                said = self.weir.ask("GET", "server")
            except OSError as error:
                self.troubles.append(str(error))
                continue
            age_s = self.weir.metric("weir_vault_backlog_seconds")
            self.told.append((time.time(), age_s, said["storage"]["copies"], "vault_away" in str(said["warnings"]), os.getloadavg()[0]))

    def first(self, since, holds):
        """Seconds from `since` until something held; None when it never did."""
        return next((told[0] - since for told in self.told if told[0] >= since and holds(told)), None)

    def load(self, start, end):
        return statistics.fmean([told[4] for told in self.told if start <= told[0] < end] or [math.nan])


def measure(minutes, dice):
    """Rows (what, figure, promise, met) of one outage of so many minutes."""
    clip = pattern("steady-6000k", 60, "1280x720", options=STEADY)
    with Bucket() as bucket, Weir(environment={"WEIR_TRANSCODE__THUMBNAIL_S": "0", **bucket.environment}) as weir:
        key = weir.add_stream(STREAM, "--ladder", "none", "--record", "always")
        with started(copy_push(clip, f"rtmp://{weir.rtmp}/live/{key}")) as publisher:
            path = weir.wait_live(STREAM)[0][0]
            with Punctual(weir, path) as viewer, Ledger(weir) as ledger:
                begun = time.time()
                time.sleep(max(BEFORE_S, BEFORE_SHARE * 60 * minutes))
                wait_for("the first copy", COPIED_WITHIN_S, bucket.media_bytes)
                died = time.time()
                asked = dies(bucket, 60 * minutes, dice)
                had, back = bucket.media_bytes(), time.time()
                sent_at, caught_at, has = catch_up(weir, bucket, had)
                time.sleep(AFTER_S)
                ended = time.time()
            is_connected = publisher.poll() is None
            weir.ask("POST", f"streams/{STREAM}/stop")
        recording = listed(weir, ("available",), ENDED_WITHIN_S)
        if recording is None:
            raise RuntimeError(f"there is not one finished recording: {weir.ask('GET', 'recordings')}")
        wait_for("the copy of the last minute", COPIED_WITHIN_S, lambda: weir.ask("GET", f"recordings/{recording['id']}")["copied"])
        here = recorded(weir)
        bytes_s = sum(file.stat().st_size for name, file in here.items() if name.endswith(".m4s")) / (recording["duration_ms"] / 1000)
        copied_s = (has - had) / bytes_s
        stages = {"before": (begun, died), "while it was away": (died, back), "catching up": (back, caught_at), "behind it": (caught_at, ended)}
        return [
            punctual(viewer, ledger, stages, is_connected),
            told(ledger, died, back, caught_at, asked),
            caught_up(copied_s, back, sent_at, caught_at, bytes_s),
            whole(here, bucket.objects()),
            kept(weir, recording, viewer),
        ]


def dies(bucket, seconds, dice):
    """Every fault for as long as the others, in any order; gives them with the requests that came meanwhile."""
    faults = dice.sample(FAULTS, len(FAULTS))
    bucket.set(faults[0])
    asked = []
    for fault, after in zip(faults, [*faults[1:], "none"]):
        time.sleep(seconds / len(faults))
        asked.append((fault, bucket.set(after)))
    return asked


def catch_up(weir, bucket, had):
    """When the first byte came behind the outage, when nothing waited any more, and how many bytes were there then."""
    sent_at = None

    def is_done():
        nonlocal sent_at
        if sent_at is None and bucket.media_bytes() > had:
            sent_at = time.time()
        time.sleep(0.2)
        return sent_at and weir.ask("GET", "server")["storage"]["copies"]["backlog_bytes"] == 0

    # As fast as the stream itself is much too slow; more than that is not waited for.
    wait_for("the end of what waits", 1200, is_done)
    return sent_at, time.time(), bucket.media_bytes()


def nearest(share, values):
    """The quantile by nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def punctual(viewer, ledger, stages, is_connected):
    """How late parts were for a viewer at the live edge."""
    said, p99 = [], {}
    for stage, span in stages.items():
        delays = viewer.between(*span)
        p99[stage] = nearest(0.99, delays)
        said.append(f"{stage} p50 {nearest(0.5, delays):.1f}, p99 {p99[stage]:.1f} ms of {len(delays)} (machine's load {ledger.load(*span):.1f})")
    later = p99["while it was away"] - p99["before"]
    figure = f"{'; '.join(said)}; {later:+.1f} ms; {len(viewer.troubles)} requests failed, publisher connected {is_connected}"
    return "delay of parts for a live viewer", figure, f"p99 at most {LATER_MAX_MS} ms more than before", later <= LATER_MAX_MS and not viewer.troubles and is_connected


def told(ledger, died, back, caught_at, asked):
    """What the operator could see."""
    retrying = ledger.first(died, lambda one: one[2]["standing"] == "retrying")
    warned = ledger.first(died, lambda one: one[3])
    _, metric_s, copies, warns, _ = [one for one in ledger.told if one[0] < back][-1]
    well = ledger.first(caught_at, lambda one: one[1] == 0 and one[2]["standing"] == "healthy" and not one[3])
    seconds = lambda value: "never" if value is None else f"after {value:.0f} s"
    figure = f"API said retrying {seconds(retrying)}, warned {seconds(warned)}; at the end of {back - died:.0f} s away the metric had {metric_s:.0f} s, "
    figure += f"the API {copies['backlog_s']} s and {copies['backlog_bytes'] / 1e6:.0f} MB; all well again {seconds(well)} of having caught up; requests that were let in: "
    figure += ", ".join(f"{fault} {requests}" for fault, requests in asked) + f"; {len(ledger.troubles)} times the API did not answer"
    # The oldest that waits is a minute that ended in the first one of the outage, or shortly before it.
    is_age = lambda age_s: back - died - 60 - TOLD_SLACK_S <= age_s <= back - died + TOLD_SLACK_S
    is_told = not ledger.troubles and retrying is not None and warned is not None and warns and well is not None
    return "backlog told", figure, "metric and API say how old the oldest is, the API warns until it is over", is_told and is_age(metric_s) and is_age(copies["backlog_s"])


def caught_up(copied_s, back, sent_at, caught_at, bytes_s):
    rate = copied_s / (caught_at - back)
    figure = f"{copied_s:.0f} s of media of {8e-6 * bytes_s:.1f} Mb/s in {caught_at - back:.1f} s, which is {rate:.1f} s a second; the first minute was there after {sent_at - back:.1f} s"
    return "catching up", figure, f"at least {CAUGHT_UP_MIN} s of media a second, counted from when the store is back", rate >= CAUGHT_UP_MIN


def whole(here, there):
    """Every file that was recorded against the object of its name."""
    missing, foreign = here.keys() - there.keys(), there.keys() - here.keys()
    other = [name for name in here.keys() & there.keys() if digest(here[name]) != digest(there[name])]
    size = sum(file.stat().st_size for file in here.values())
    figure = f"{len(here)} files of {size / 1e6:.0f} MB: {len(missing)} missing, {len(other)} with another SHA-256, {len(foreign)} objects of no file"
    return "in the store", figure, "every file, to the byte, and nothing else", len(here) > 2 and not (missing or other or foreign)


def kept(weir, recording, viewer):
    """What the viewer was shown against what the recording has of it."""
    folder = recording["hls"].rsplit("/", 1)[0]
    name = viewer.path.rsplit("/", 1)[1]
    segments = read_segments(weir.get(f"{folder}/{name}").decode())
    numbers = [segment.number for segment in segments]
    is_gapless = numbers == list(range(numbers[0], numbers[0] + len(numbers))) and not any(segment.gap for segment in segments)
    found = {segment.number: hashlib.sha256(weir.get(f"{folder}/{segment.uri}") or b"").hexdigest() for segment in segments if segment.number in viewer.digests}
    lost = [number for number, seen in viewer.digests.items() if found.get(number) != seen]
    late = weir.metric("weir_archive_lost_segments_total")
    figure = f"{len(segments)} segments without a gap {is_gapless}; of {len(viewer.digests)} that the viewer had {len(lost)} are not in it to the byte; {late:.0f} counted as lost"
    # The viewer came with the first segment and left before the last ones.
    return "kept here", figure, "every segment that was shown, to the byte", is_gapless and not lost and not late and len(viewer.digests) > 0.8 * len(segments)
