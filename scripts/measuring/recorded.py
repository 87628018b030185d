"""A server that is killed while it records, again and again: what the recording lacks of what viewers were shown, whether it can
be read whole, whether it goes on with its publisher, and whether any segment's number comes twice."""
import time
import urllib.error

from . import numbered
from .away import wait_for
from .onlooker import NAME, Onlooker
from .programs import copy_push, pattern, started
from .server import Weir

STREAM = "show"
SIZE, FPS = (320, 180), 30
CLIP_S = 60
# From the first part that a viewer was shown to the kill: in the first segment, or in any part of a later one.
KILLED_WITHIN_S = 8
# From the publisher's return to the end of the stream. Its first keyframe may have to be waited for.
BACK_S = (3, 5)
# Its pictures are numbered from here, so that they are told from those before the kill.
BACK_FROM = 1 << (numbered.BITS - 1)
FIRST, SECOND = range(BACK_FROM), range(BACK_FROM, 2 * BACK_FROM)
# Pictures are coded out of order, so up to two that go before the last one may not have come.
REORDERED = 2
LISTED_WITHIN_S = 5
ENDED_WITHIN_S = 20


class Tally:
    """What came out over all rounds."""

    def __init__(self):
        self.losses_ms, self.faults, self.repeated = [], [], []
        # Which start of the server made a segment, by session and number.
        self.made = {}

    def note(self, session, numbers, start):
        """Those segments of a session were there under this start of the server, and under none before it."""
        for number in sorted(numbers):
            if self.made.setdefault((session, number), start) != start:
                self.repeated.append(f"{session} {number}")

    def before(self, session, start):
        """The numbers of a session that another start of the server made."""
        return {number for (of, number), maker in self.made.items() if of == session and maker != start}


def measure(rounds, dice):
    """The tally of so many kills."""
    # No scene cuts, so that a segment is two seconds long and a kill finds it anywhere.
    coded = ("-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-bf", "2", "-b:v", "400k")
    size = "%dx%d" % SIZE
    clips = [pattern(f"numbered-{size}-{span[0]}", CLIP_S, size, FPS, ("-vf", numbered.marks(*SIZE, span[0]), *coded)) for span in (FIRST, SECOND)]
    tally = Tally()
    with Weir() as weir:
        key = weir.add_stream(STREAM, "--ladder", "none", "--record", "always")
        pushes = [copy_push(clip, f"rtmp://{weir.rtmp}/live/{key}") for clip in clips]
        for number in range(rounds):
            known = len(tally.faults)
            killed(weir, pushes[0], dice, tally)
            returned(weir, pushes[1], dice, tally)
            tally.faults[known:] = [f"round {number}: {fault}" for fault in tally.faults[known:]]
            clean(weir)
    return tally


def killed(weir, push, dice, tally):
    """A session that is killed with its server, and what the next start has of it."""
    with started(push), Onlooker(weir, address(weir)) as eyes:
        wait_for("the first part", 20, lambda: eyes.parts)
        time.sleep(dice.uniform(0, KILLED_WITHIN_S))
        start = weir.pid
        weir.kill()
    tally.note(eyes.session, eyes.numbers, start)
    shown, kept = eyes.newest() or 0, -1
    weir.start_again()
    recording = listed(weir, ("available", "recording"), LISTED_WITHIN_S)
    if recording is None:
        tally.faults.append(f"of {(shown + 1) / FPS:.1f} s that were shown there is {said(weir)}")
    else:
        tally.note(eyes.session, segments(weir, recording, tally), start)
        pictures = judged(weir, recording, tally)
        kept = last(pictures, FIRST)
        whole(pictures, FIRST, tally)
        if pictures[:1] != [0]:
            tally.faults.append(f"the recording begins with picture {pictures[:1]}")
    tally.losses_ms.append(1000 * max(0, shown - kept) / FPS)


def returned(weir, push, dice, tally):
    """The publisher comes back to that session, until the stream is stopped; what was recorded before is still there, and this too."""
    earlier = segments(weir, recordings(weir)[0], tally) if recordings(weir) else []
    with started(push), Onlooker(weir, address(weir)) as eyes:
        time.sleep(dice.uniform(*BACK_S))
        weir.ask("POST", f"streams/{STREAM}/stop")
    tally.note(eyes.session, eyes.numbers, weir.pid)
    recording = listed(weir, ("available",), ENDED_WITHIN_S)
    if recording is None:
        tally.faults.append(f"of the session that went on there is {said(weir)}")
        return
    numbers = segments(weir, recording, tally)
    tally.note(eyes.session, set(numbers) - tally.before(eyes.session, weir.pid), weir.pid)
    if numbers[: len(earlier)] != earlier:
        tally.faults.append(f"the recording listed {earlier} and then {numbers}")
    pictures = judged(weir, recording, tally)
    whole(pictures, FIRST, tally)
    whole(pictures, SECOND, tally)
    if (shown := eyes.newest() or 0) > last(pictures, SECOND):
        tally.faults.append(f"after the return {shown} was shown, and {last(pictures, SECOND)} is the recording's last")


def clean(weir):
    """Makes the next round's session a new one, with a recording of its own."""
    for found in recordings(weir):
        weir.ask("DELETE", f"recordings/{found['id']}")
    wait_for("the session's end", ENDED_WITHIN_S, lambda: state(weir) is None)
    weir.ask("POST", f"streams/{STREAM}/allow")


def address(weir):
    """The source's playlist, as soon as the publisher is there. Before it, the playlists of a session that ended may be."""
    wait_for("the publisher", 30, lambda: state(weir) == "live")
    return weir.wait_live(STREAM, segments=0)[0][0]


def recordings(weir):
    return weir.ask("GET", "recordings")["recordings"]


def said(weir):
    """What there is, in words."""
    return ", ".join(f"a recording that is {found['status']}" for found in recordings(weir)) or "no recording"


def listed(weir, states, patience_s):
    """The only recording, as soon as it is in one of these states; None when that takes too long."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found = recordings(weir)
        if len(found) == 1 and found[0]["status"] in states:
            return found[0]
        time.sleep(0.1)
    return None


def state(weir):
    """How the live stream is; None when it is not live."""
    try:
        return weir.ask("GET", f"live/{STREAM}")["state"]
    except urllib.error.HTTPError:
        return None


def segments(weir, recording, tally):
    """The numbers of the segments that a recording lists, in order."""
    folder = recording["hls"].rsplit("/", 1)[0]
    text = (weir.get(f"{folder}/source.m3u8") or b"").decode()
    numbers = [int(NAME.search(line)[1]) for line in text.splitlines() if line.endswith(".m4s")]
    if numbers != sorted(set(numbers)):
        tally.repeated.append(f"a recording lists {numbers}")
    return numbers


def judged(weir, recording, tally):
    """The numbers of a recording's pictures, in order. What the decoder complained about is a fault."""
    pictures, complaints = numbered.read(weir.url(recording["hls"]))
    if complaints:
        tally.faults.append(f"ffmpeg says: {complaints.splitlines()[0]}")
    return [number for number in pictures if number is not None]


def last(pictures, span):
    return max((number for number in pictures if number in span), default=-1)


def whole(pictures, span, tally):
    """Between the first and the last of them each picture is there, and in order."""
    own = [number for number in pictures if number in span]
    missing = sorted(set(range(own[0], own[-1] - REORDERED)) - set(own)) if own else []
    if missing:
        tally.faults.append(f"{len(missing)} pictures from {missing[0]} on are missing")
    if own != sorted(set(own)):
        tally.faults.append("pictures come twice, or out of order")
