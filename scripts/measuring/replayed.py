"""The recording of a live that lost its publisher twice, and the second time got it back in another size: one session, two slates,
four discontinuities and more than one codec configuration. Its playlists are held to the rules, players play and seek in it, and
its length and its downloads are what they are said to be."""
import re
import subprocess
import sys
import time

from . import numbered
from .away import wait_for
from .playlists import read_segments
from .programs import PROBES, copy_push, last_json, pattern, run, shown, started
from .recorded import ENDED_WITHIN_S, STREAM, listed, state
from .server import Weir

# Passed through, another size stays in the session (docs/operators.md); the rung beside it keeps its own.
SIZES = ("640x360", "640x360", "854x480")
LADDER, RENDITIONS = "240p:300k", ("source", "240p")
FPS = 30
FRAME_MS = 1000 / FPS
AWAY_S = 6
# A player seeks in the middle of so long a look, to so long before what it is to pass.
LOOK_S, LEAD_S = 24, 5
# A piece is so long on either side of what it is cut for.
PIECE_S = 8
CLI_S = 12
SOUGHT_S = 2


class Replay:
    """Gathers rows (what, command, figure, promise, met) of a server that has one finished recording."""

    def __init__(self, weir):
        self.weir, self.rows = weir, []
        self.recording = listed(weir, ("available",), ENDED_WITHIN_S)
        if self.recording is None:
            raise RuntimeError(f"there is not one finished recording: {weir.ask('GET', 'recordings')}")
        self.ready_at = time.monotonic()
        self.url, self.folder = weir.url(self.recording["hls"]), self.recording["hls"].rsplit("/", 1)[0]
        self.text = weir.get(f"{self.folder}/source.m3u8").decode()
        self.segments, self.breaks = self.read()
        self.media_s, self.pictures, self.sizes = self.look()

    def row(self, what, command, figure, promise, met):
        self.rows.append((what, re.sub(r"[0-9a-f-]{36}", "ID", shown(command)), figure, promise, met))

    def read(self):
        """The segments of the source, and where the discontinuities are, in seconds from the start."""
        at, breaks = 0.0, []
        segments = read_segments(self.text)
        for segment in segments:
            breaks += [at] if segment.tagged else []
            at += segment.seconds
        return segments, breaks

    def look(self):
        """How long the source's pictures are, each as long as its file says, how many, and the sizes they have. ffprobe takes the frame
        rate's word for the one, and reads one init section for the others."""
        sys.path.insert(0, str(PROBES))
        import mediaparse

        tracks, seconds, pictures, sizes = None, 0.0, 0, set()
        for line in self.text.splitlines():
            if line.startswith("#EXT-X-MAP"):
                tracks = mediaparse.parse_init(self.weir.get(f"{self.folder}/" + re.search('URI="([^"]+)"', line)[1]))
                sizes |= {f"{track.width}x{track.height}" for track in tracks.values()}
            elif line and not line.startswith("#"):
                samples, _ = mediaparse.parse_fmp4(self.weir.get(f"{self.folder}/{line}"), tracks)
                seconds += sum(sample.d for own in samples.values() for sample in own)
                pictures += sum(len(own) for own in samples.values())
        return seconds, pictures, sizes

    def piece(self, from_s, until_s):
        """The address of a clip around that."""
        cut = {"start_s": max(0, from_s - PIECE_S), "end_s": until_s + PIECE_S, "title": "A piece"}
        return self.weir.url(self.weir.ask("POST", f"recordings/{self.recording['id']}/clips", cut)["hls"])

    def rules(self):
        """All rules for playlists that end, with every segment looked at."""
        command = [PROBES / "hls_check.py", self.url, "--ll", "off", "--max-segments", 100_000]
        status, out, _ = run(["python3", *command], 900)
        fails = [" ".join(line.split())[:160] for line in out.splitlines() if line.startswith("FAIL")]
        self.row("hls_check", command, "; ".join(fails) or "no FAIL", "no FAIL", status == 0)

    def browser(self, player, what, url, at_s):
        """Plays from the start and then from `at_s` on, or all of it to its end when that is None."""
        command = ["node", PROBES / "play_hls.mjs", url, "--player", player, "--picture-changes", "--min-rms", -40]
        if at_s is None:
            command += ["--seconds", 4 * PIECE_S]
        else:
            command += ["--seconds", LOOK_S, "--seek-back", round(LOOK_S / 2 - at_s, 1)]
        _, out, said = run(command, 120)
        report = last_json(out)
        why = list(report.get("why") or []) if report else [said.strip()[-200:]]
        if report and at_s is None and not report["ended"]:
            why.append(f"it did not end, at {report['currentTime']:.1f} of {report['duration']} s")
        heights = " then ".join(str(height) for _, height in report.get("heights") or [])
        figure = f"startup {report.get('startup_s')} s, at {report.get('currentTime') or 0:.1f} s in the end, {heights} lines; {'; '.join(why) or 'no stall'}"
        promise = "plays, no stall" if at_s is not None else "plays to its end, no stall"
        self.row(f"{player} {what}", command, figure, promise, not why)

    def cli(self, what, url, seconds, players):
        command = [PROBES / "play_cli.sh", url, seconds, *players]
        _, out, _ = run(command, 60 * len(players) + 4 * seconds)
        verdicts = {line.split()[1].strip(":"): line for line in out.splitlines() if line.startswith(("PASS", "FAIL", "SKIP"))}
        for player in players:
            line = verdicts.get(player, "did not end")
            self.row(f"{player} {what}", command, line, "PASS", line.startswith("PASS"))

    def length(self):
        """What the API says of the length, against the media itself."""
        told_ms = self.recording["duration_ms"]
        listed_s = sum(segment.seconds for segment in self.segments)
        figure = f"API {told_ms / 1000:.3f} s, media {self.media_s:.3f} s, playlist {listed_s:.3f} s"
        met = all(abs(told_ms - 1000 * other) <= FRAME_MS for other in (self.media_s, listed_s))
        self.row("length", ["GET", f"/api/v1/recordings/{self.recording['id']}"], figure, "within a frame of each other", met)

    def transport(self):
        """MPEG-TS is read through to the end, past the change of size, and from its middle on."""
        url = transport(self.url)
        seen, complaints = numbered.read(url)
        sought, said = numbered.read(url, "-ss", self.media_s / 2, "-t", SOUGHT_S)
        figure = f"{len(seen)} of {self.pictures} pictures, {len(sought)} from the middle on; ffmpeg says {(complaints + said)[:120]!r}"
        met = len(seen) == self.pictures and len(sought) >= SOUGHT_S * FPS and not complaints + said
        self.row("MPEG-TS in ffmpeg", ["ffmpeg", "-i", url], figure, "every picture, no complaint, seeks", met)

    def downloads(self):
        """Each MP4 file is whole and as long as is said, and those of a rendition are the recording together."""
        files = self.weir.ask("GET", f"library/{self.recording['id']}/downloads")["downloads"]
        wrong, sums = [], dict.fromkeys(RENDITIONS, 0)
        for number, file in enumerate(files):
            url = self.weir.url(file["href"])
            pictures, complaints = numbered.read(url)
            file_ms = 1000 * container_s(url)
            sums[file["rendition"]] += file["duration_ms"]
            if complaints or not pictures:
                wrong.append(f"file {number}: {len(pictures)} pictures, ffmpeg says {complaints[:120]!r}")
            sought, complaints = numbered.read(url, "-ss", max(0, file_ms / 2000 - SOUGHT_S), "-t", SOUGHT_S)
            if complaints or not sought:
                wrong.append(f"file {number} from its middle on: {len(sought)} pictures, ffmpeg says {complaints[:120]!r}")
            if abs(file_ms - file["duration_ms"]) > FRAME_MS:
                wrong.append(f"file {number} ({file['rendition']}): {file_ms:.0f} ms, the API says {file['duration_ms']}")
        for rendition, sum_ms in sums.items():
            # Sound may end a part of its frame later than the pictures of each file do.
            if abs(sum_ms - self.recording["duration_ms"]) > FRAME_MS * max(1, len(files)):
                wrong.append(f"{rendition} is {sum_ms} ms of {self.recording['duration_ms']}")
        figure = f"{len(files)} files, {sum(file['size_bytes'] for file in files) / 1e6:.1f} MB; {'; '.join(wrong) or 'all whole'}"
        command = ["GET", f"/api/v1/library/{self.recording['id']}/downloads"]
        self.row("downloads", command, figure, "ffmpeg reads each whole, its length within a frame of what is said", bool(files) and not wrong)


def measure(minutes):
    """The rows of one such recording."""
    with Weir() as weir:
        sessions = go_live(weir, 60 * minutes / len(SIZES))
        stopped_at = time.monotonic()
        replay = Replay(weir)
        gaps = sum(segment.gap for segment in replay.segments)
        sizes = ", ".join(sorted(replay.sizes))
        figure = f"{len(sessions)} session, {len(replay.segments)} segments, {len(replay.breaks)} discontinuities, {gaps} gaps, {sizes}; ready {replay.ready_at - stopped_at:.1f} s after the end"
        met = len(sessions) == 1 and replay.sizes == set(SIZES) and not gaps and replay.ready_at - stopped_at < 10
        replay.row("the live", ["push", *SIZES], figure, "one session in both sizes, no gap, ready within 10 s", met)
        replay.length()
        replay.rules()
        lost_s, back_s, changed_s = replay.breaks[0], replay.breaks[1], replay.breaks[-1]
        change, loss = replay.piece(changed_s, changed_s), replay.piece(lost_s, back_s)
        for player in ("hlsjs", "shaka"):
            replay.browser(player, "past the first loss", replay.url, lost_s - LEAD_S)
            replay.browser(player, "past the change of size", replay.url, changed_s - LEAD_S)
            replay.browser(player, "a piece with the change of size to its end", change, None)
        replay.cli("from the start", replay.url, CLI_S, ("ffmpeg", "ffprobe", "mpv", "vlc"))
        # ffmpeg and what is built on it read one init section alone, so a change of size is for them in MPEG-TS only; a slate has its own
        # parameter sets in its pictures. VLC 3 ends at a discontinuity at which the init section changes.
        replay.cli("a piece with the first loss", loss, round(2 * PIECE_S + back_s - lost_s), ("ffmpeg", "mpv", "gst-adaptive"))
        # The probe's ffmpeg counts in the source's frames, which a slate's do not fit into, and its VLC takes the loss of its clock for a fault.
        replay.cli("a piece with the change of size, MPEG-TS", transport(change), 2 * PIECE_S, ("mpv",))
        replay.transport()
        replay.downloads()
    return replay.rows


def transport(url):
    """The same recording as MPEG-TS."""
    return url.replace("index.m3u8", "ts.m3u8")


def go_live(weir, part_s):
    """Pushes each size for so long into one stream, each but the last torn off; then the stream is stopped. Gives the sessions."""
    key = weir.add_stream(STREAM, "--ladder", LADDER, "--record", "always", "--record-renditions", ",".join(RENDITIONS))
    sessions = set()
    for number, size in enumerate(SIZES):
        # Without B-frames: of a group that is torn off, those before the last picture would be missing.
        coded = ("-g", 2 * FPS, "-keyint_min", 2 * FPS, "-sc_threshold", "0", "-bf", "0", "-b:v", "900k", "-maxrate", "900k", "-bufsize", "900k")
        clip = pattern(f"replayed-{size}", 60, size, FPS, coded)
        with started(copy_push(clip, f"rtmp://{weir.rtmp}/live/{key}")):
            wait_for("the publisher", 30, lambda: state(weir) == "live")
            time.sleep(part_s)
            sessions.add(weir.ask("GET", f"live/{STREAM}")["session"])
            if number == len(SIZES) - 1:
                weir.ask("POST", f"streams/{STREAM}/stop")
        if number < len(SIZES) - 1:
            time.sleep(AWAY_S)
    return sessions


def container_s(url):
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", url]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)
