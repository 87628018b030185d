"""Viewers that remember when media came: a small one of our own that fetches every segment of one rendition, and ffmpeg."""
import subprocess
import threading
import time

from .background import Background
from .playlists import read_segments
from .server import read_variants

POLL_S = 0.5
# Segments last up to two seconds, a gap at the rim of one as long again; without media for so long a player stands still.
OUTAGE_S = 8


class Audience(Background):
    """A thread that lives as long as its `with` block and notes `arrivals` of media."""

    encoded = False

    def __init__(self, weir, name):
        super().__init__()
        self.weir, self.name = weir, name
        self.arrivals, self.troubles, self.sessions = [time.monotonic()], [], []
        self.gaps = 0

    def outages(self, until):
        """(from, to) of every time without media, up to now."""
        times = [*self.arrivals, until]
        return [(a, b) for a, b in zip(times, times[1:]) if b - a > OUTAGE_S]


class Viewer(Audience):
    """Follows variant `index` (-1 for the last) of a live stream until the `with` block ends."""

    def __init__(self, weir, name, index, encoded):
        super().__init__(weir, name)
        self.index, self.encoded = index, encoded

    @property
    def label(self):
        return f"{self.name}{' rung' if self.encoded else ''}"

    def _find(self):
        """The media playlist's path; None while the stream is not live."""
        base = f"/live/{self.name}/index.m3u8"
        text = self.weir.get(base)
        variants = read_variants(text.decode(), base) if text else []
        if not variants:
            return None
        path = variants[self.index][0]
        session = path.split("/")[3]
        if session not in self.sessions:
            self.sessions.append(session)
        return path

    def _run(self):
        path, last = None, None
        while not self.stop.wait(POLL_S):
            path = path or self._find()
            body = path and self.weir.get(path)
            if not body:
                path = None
                continue
            text = body.decode()
            listed = read_segments(text)
            if last is None and listed:
                last = listed[-1].number - 1
            for segment in listed:
                if segment.number > last:
                    self._take(path, segment)
                    last = segment.number
            if "#EXT-X-ENDLIST" in text:
                path, last = None, None

    def _take(self, path, segment):
        if segment.gap:
            self.gaps += 1
            return
        media = self.weir.get(path.rsplit("/", 1)[0] + "/" + segment.uri)
        if media:
            self.arrivals.append(time.monotonic())
        else:
            self.troubles.append((time.monotonic(), f"{segment.uri} is listed and cannot be had"))


class FfmpegViewer(Audience):
    """ffmpeg on the multivariant, started again when it gives up; its own count of bytes says whether media comes."""

    @property
    def label(self):
        return f"ffmpeg on {self.name}"

    def _run(self):
        while not self.stop.is_set():
            command = ["ffmpeg", "-nostdin", "-v", "error", "-i", self.weir.url(f"/live/{self.name}/index.m3u8"), "-c", "copy", "-f", "null", "-progress", "pipe:1", "-"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
            reader.start()
            while process.poll() is None and not self.stop.wait(POLL_S):
                pass
            process.kill()
            process.wait()
            reader.join()
            self.stop.wait(POLL_S)

    def _read(self, lines):
        at = ""
        for line in lines:
            if line.startswith("out_time_us=") and line != at:
                at = line
                self.arrivals.append(time.monotonic())
