"""Every media playlist of a stream, asked again and again, and held to the rules of one timeline (DESIGN 8)."""
import datetime
import re
import threading
import time

# A date may follow the wall clock by 10 ms a segment; both dates are cut to milliseconds, and EXTINF to ten microseconds.
SLEW_S = 0.010 + 0.004
# Sound is cut at its frames, 23 ms at 44.1 kHz, and the source's first picture behind a discontinuity may be one later than the
# boundary, 40 ms at 25 a second.
ASIDE_S = 0.042
POLL_S = 0.4
HELD_MAX_S = 8.0


class Segment:
    """A listed segment; `breaks` is how many discontinuities lie before its end, from the session's start."""

    def __init__(self, number, uri, seconds, date, gap, breaks, tagged):
        self.number, self.uri, self.seconds, self.date, self.gap, self.breaks, self.tagged = number, uri, seconds, date, gap, breaks, tagged

    def told(self):
        return (self.uri, self.seconds, self.date, self.gap, self.breaks, self.tagged)


def read_segments(text):
    """The whole segments of a media playlist."""
    found, tags = [], {}
    number = breaks = 0
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "#EXT-X-MEDIA-SEQUENCE":
            number = int(value)
        elif name == "#EXT-X-DISCONTINUITY-SEQUENCE":
            breaks = int(value)
        elif name == "#EXT-X-PROGRAM-DATE-TIME":
            tags["date"] = datetime.datetime.fromisoformat(value).timestamp()
        elif name == "#EXTINF":
            tags["seconds"] = float(value.split(",")[0])
        elif name in ("#EXT-X-DISCONTINUITY", "#EXT-X-GAP"):
            tags[name] = True
        elif line and not line.startswith("#"):
            tagged = "#EXT-X-DISCONTINUITY" in tags
            breaks += tagged
            found.append(Segment(number, line, tags.get("seconds"), tags.get("date"), "#EXT-X-GAP" in tags, breaks, tagged))
            number, tags = number + 1, {}
    return found


class Watch:
    """Polls all renditions of a live stream from construction until the `with` block ends; then `judge`."""

    def __init__(self, weir, name):
        self.weir, self.name = weir, name
        base = f"/live/{name}/"
        text = weir.get(base + "index.m3u8").decode()
        media = re.findall(r'#EXT-X-MEDIA:.*URI="([^"]+)"', text)
        variants = [line for line in text.splitlines() if line and not line.startswith("#")]
        self.paths = [base + uri for uri in dict.fromkeys([*variants, *media])]
        # (asked, answered, body or None) by rendition, on the wall clock.
        self.polls = {path: [] for path in self.paths}
        # (from, until) on the wall clock: the server was not there. Nothing is listed then, and it may leave out numbers behind it,
        # as what a killed server has listed last is not known to the byte.
        self.outage = (0.0, 0.0)
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._poll, args=(path,), daemon=True) for path in self.paths]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _poll(self, path):
        while not self.stop.wait(POLL_S):
            asked = time.time()
            body = self.weir.get(path)
            self.polls[path].append((asked, time.time(), body and body.decode()))

    def judge(self):
        """(faults, facts): what broke the rules, and what was seen, over all polls so far."""
        faults, seen = [], {}
        for path in self.paths:
            short = path.rsplit("/", 1)[1].split(".")[0]
            seen[short] = self._judge_one(short, self.polls[path], faults)
        first_name, first = next(iter(seen.items()))
        for name, segments in seen.items():
            for number in sorted(set(first) & set(segments)):
                one, other = first[number], segments[number]
                if one.tagged != other.tagged or one.breaks != other.breaks:
                    faults.append(f"{name} {number}: discontinuity {other.tagged} {other.breaks}, {first_name} has {one.tagged} {one.breaks}")
                if abs(one.date - other.date) > ASIDE_S:
                    faults.append(f"{name} {number}: {1000 * (other.date - one.date):.0f} ms from {first_name}")
            if segments and abs(max(segments) - max(first)) > 1:
                faults.append(f"{name} ends at {max(segments)}, {first_name} at {max(first)}")
        facts = {
            "polls": sum(map(len, self.polls.values())),
            "renditions": len(seen),
            "numbers": f"{min(first, default=0)}..{max(first, default=0)}",
            "breaks": sum(segment.tagged for segment in first.values()),
            "gaps_s": sum(segment.seconds for segment in first.values() if segment.gap),
        }
        return faults, facts

    def _judge_one(self, name, polls, faults):
        """All segments ever listed, by number."""
        known, last, before_outage = {}, -1, None
        down, up = self.outage
        for asked, answered, body in polls:
            if asked < up and answered > down:
                before_outage = last
                continue
            if answered - asked > HELD_MAX_S:
                faults.append(f"{name}: answered after {answered - asked:.1f} s")
            if not body:
                faults.append(f"{name}: no playlist at {asked:.0f}")
                continue
            if "#EXT-X-ENDLIST" in body:
                faults.append(f"{name}: ended")
            listed = read_segments(body)
            if not listed:
                continue
            if listed[-1].number < last:
                faults.append(f"{name}: {listed[-1].number} after {last}")
            last = listed[-1].number
            for segment in listed:
                before = known.setdefault(segment.number, segment)
                if before.told() != segment.told():
                    faults.append(f"{name} {segment.number}: was {before.told()}, now {segment.told()}")
            end = listed[-1].date + listed[-1].seconds
            target = int(re.search(r"TARGETDURATION:(\d+)", body)[1])
            # The newest segment ended less than two targets ago, and not in the future.
            if not -1 < answered - end < 2 * target + 1:
                faults.append(f"{name}: at {answered:.1f} the newest segment ended {answered - end:.1f} s ago")
        for number, segment in known.items():
            after = known.get(number + 1)
            if after is None and number not in (max(known), before_outage):
                faults.append(f"{name}: {number + 1} is missing")
            if after is None:
                continue
            off = after.date - segment.date - segment.seconds
            # Sound ends a frame before a discontinuity at most.
            if abs(off) > SLEW_S + after.tagged * 0.024:
                faults.append(f"{name} {number + 1}: dated {1000 * off:+.0f} ms from the end of {number}")
        return known
