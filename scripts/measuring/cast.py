"""Who disturbs a server in a soak: publishers that are lost and come back, signals to workers, questions to the API."""
import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

from .cost import tree
from .programs import WORK, copy_push
from .relay import Relay
from .server import EXE

# Far more than an encoder needs to start, connect and be accepted while every core is starved.
PATIENCE_S = 20


class Source:
    """A publisher of one stream, behind a line of its own that can be lost. Ends with the `with` block."""

    def __init__(self, weir, name, clip, settings, options):
        self.weir, self.name, self.clip, self.options = weir, name, clip, options
        self.key = weir.add_stream(name, *settings)
        self.line = Relay(weir.rtmp)
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end(self.process)
        self.line.__exit__()

    def push(self):
        """Starts a publisher and waits until media goes through."""
        before = len(self.line.links)
        command = copy_push(self.clip, f"rtmp://{self.line.address}/live/{self.key}", options=self.options)
        log = open(WORK / "background.log", "ab")
        with log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while len(self.line.links) == before or not self.line.media_at:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no media went through within {PATIENCE_S} s")
            time.sleep(0.05)

    def ended(self):
        return self.process.poll() is not None

    def lose(self, how):
        """Its process is killed (`fin`), its line is reset (`rst`), or nothing passes any more (`mute`)."""
        if how == "rst":
            self.line.links[-1].reset()
        elif how == "mute":
            # The line stays open on the server's side; the encoder behind it is of no interest any more.
            self.line.links[-1].mute()
        self._end(self.process)

    def take_over(self, new_key):
        """A second encoder with the same key, or with a new one, while the first is live; the first is sent away."""
        if new_key:
            command = [str(EXE), "stream", "rotate-key", self.name, "--json", "--data-dir", str(self.weir.data)]
            made = subprocess.run(command, check=True, capture_output=True, text=True, cwd=self.weir.folder)
            self.key = json.loads(made.stdout)["key"]
        first = self.process
        self.push()
        try:
            first.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._end(first)
            raise RuntimeError(f"the encoder before was not sent away within {PATIENCE_S} s") from None

    @staticmethod
    def _end(process):
        if process and process.poll() is None:
            process.kill()
        if process:
            process.wait()


def signal_worker(server, name, pick):
    """Sends a signal to one of the server's workers; `pick` from 0 to 1 says which."""
    workers = []
    for pid in tree(server)[1:]:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            workers += [pid] if b"worker" in file.read() else []
    if not workers:
        raise RuntimeError("there is no worker")
    with contextlib.suppress(ProcessLookupError):
        os.kill(sorted(workers)[int(pick * len(workers))], getattr(signal, f"SIG{name}"))


def read_api(weir, names):
    """Asks everything that can be asked, and gives what was not answered."""
    token = (weir.data / "api-token").read_text().strip()
    paths = ["live", "streams", "audit", "openapi.json", *[f"live/{name}" for name in names], *[f"streams/{name}" for name in names]]
    questions = [f"/api/v1/{path}" for path in paths] + ["/metrics", "/healthz", "/readyz", "/", *[f"/live/{name}/index.m3u8" for name in names]]
    unanswered = []
    for path in questions:
        request = urllib.request.Request(weir.url(path), headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            # What is away may be unknown for a moment; a fault of the server is never an answer.
            unanswered += [f"{path} answered {error.code}"] if error.code >= 500 else []
        except OSError as error:
            unanswered.append(f"{path}: {error}")
    return unanswered
