"""A viewer at the live edge that notes how late each part of a rendition is in its hands, and what the segments were."""
import datetime
import hashlib
import http.client
import re
import time

from .background import Background
from .onlooker import NAME

PATIENCE_S = 15
AGAIN_S = 0.2


class Punctual(Background):
    """Asks for the playlist with the next part again and again, as a low-latency player does, and loads each part at once."""

    def __init__(self, weir, path):
        super().__init__()
        self.weir, self.path = weir, path
        # (wall clock, seconds from the end of the part's media to its last byte here) of each part.
        self.delays = []
        self.troubles = []
        # SHA-256 of all parts of a segment, by its number; of those that are whole.
        self.digests = {}
        self._known, self._on, self._line = (-1, 0), {}, None

    def _run(self):
        # What is there before the viewer is no measure.
        asked, is_new = "", False
        while not self.stop.is_set():
            try:
                asked = self._look(self._get(self.path + asked).decode(), is_new)
                is_new = True
            except (OSError, http.client.HTTPException) as error:
                self.troubles.append(f"{type(error).__name__}: {error}")
                self._hang_up()
                self.stop.wait(AGAIN_S)
        self._hang_up()

    def _look(self, text, is_new):
        """Takes what a playlist has that is not known; gives what to ask for next."""
        number = part = 0
        ends = None
        for line in text.splitlines():
            name, _, value = line.partition(":")
            if name == "#EXT-X-MEDIA-SEQUENCE":
                number = int(value)
            elif name == "#EXT-X-PROGRAM-DATE-TIME":
                ends = datetime.datetime.fromisoformat(value).timestamp()
            elif name == "#EXT-X-PART":
                ends += float(re.search(r"DURATION=([\d.]+)", value)[1])
                if (number, part) > self._known:
                    self._take(number, part, re.search(r'URI="([^"]+)"', value)[1])
                    if is_new:
                        self.delays.append((time.time(), time.time() - ends))
                part += 1
            elif line and not line.startswith("#"):
                number = int(NAME.search(f"/{line}")[1])
                if number in self._on:
                    self.digests[number] = self._on.pop(number).hexdigest()
                number, part = number + 1, 0
            elif name == "#EXT-X-ENDLIST":
                self.stop.set()
        return f"?_HLS_msn={number}&_HLS_part={part}"

    def _take(self, number, part, uri):
        data = self._get(f"{self.path.rsplit('/', 1)[0]}/{uri}")
        self._known = (number, part)
        if part == 0:
            self._on[number] = hashlib.sha256()
        if number in self._on:
            self._on[number].update(data)

    def _get(self, path):
        """The body, over one connection as long as it holds."""
        if self._line is None:
            self._line = http.client.HTTPConnection(*self.weir.http.rsplit(":", 1), timeout=PATIENCE_S)
        self._line.request("GET", path)
        answer = self._line.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise http.client.HTTPException(f"{path.rsplit('/', 1)[1]}: {answer.status}")
        return body

    def _hang_up(self):
        if self._line is not None:
            self._line.close()
        self._line = None

    def between(self, start, end):
        """Delays of parts that came from `start` until `end`, in milliseconds."""
        return [1000 * delay for at, delay in self.delays if start <= at < end]
