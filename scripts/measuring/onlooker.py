"""A viewer of a live rendition that takes each part as soon as it is listed, and so knows what could be seen at any moment."""
import pathlib
import re
import tempfile

from . import numbered
from .background import Background

POLL_S = 0.05
# A name of media, which may have the server's start in front of it: RENDITION/7-17.3.m4s.
NAME = re.compile(r"/(?:\d+-)?(\d+)(?:\.\d+)?\.m4s$")


class Onlooker(Background):
    """Reads the playlist at `path` as long as its `with` block lasts, or as the server does."""

    def __init__(self, weir, path):
        super().__init__()
        self.weir, self.path = weir, path
        self.session = path.split("/")[3]
        # Numbers of all segments that were listed, whole or not.
        self.numbers = set()
        # The segment that is on: its init section and the parts that came whole.
        self.init, self.parts = None, []
        self._init_uri, self._on, self._known = None, None, set()

    def _run(self):
        while not self.stop.wait(POLL_S):
            self._look((self.weir.get(self.path) or b"").decode())

    def _look(self, text):
        init_uri = None
        for line in text.splitlines():
            if line.startswith("#EXT-X-MAP:"):
                init_uri = re.search(r'URI="([^"]+)"', line)[1]
            elif line.startswith("#EXT-X-PART:"):
                self._take(re.search(r'URI="([^"]+)"', line)[1], init_uri, is_media="GAP=YES" not in line)
            elif line and not line.startswith("#"):
                self.numbers.add(int(NAME.search(line)[1]))

    def _take(self, uri, init_uri, is_media):
        if uri in self._known:
            return
        number = int(NAME.search(uri)[1])
        self.numbers.add(number)
        if not is_media:
            return
        folder = self.path.rsplit("/", 1)[0]
        if init_uri != self._init_uri:
            self.init = self.weir.get(f"{folder}/{init_uri}")
            self._init_uri = init_uri if self.init else None
        part = self.weir.get(f"{folder}/{uri}")
        if not self.init or not part:
            return
        self._known.add(uri)
        if number != self._on:
            self._on, self.parts = number, []
        self.parts.append(part)

    def newest(self):
        """The number of the last picture that could be shown, None before there was one."""
        with tempfile.TemporaryDirectory(prefix="weir-onlooker-") as folder:
            file = pathlib.Path(folder) / "seen.mp4"
            file.write_bytes(b"".join([self.init or b"", *self.parts]))
            found, _ = numbered.read(file)
        return max((number for number in found if number is not None), default=None)
