"""The release build of the server on free ports of loopback, with a data directory of its own."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXE = pathlib.Path(os.environ.get("WEIR_TEST_EXE") or ROOT / "target/release/weir")
DOORS = ("http", "https", "rtmp", "rtmps")


class Weir:
    """Starts on construction and ends with the `with` block. Further arguments go to `weir serve`."""

    def __init__(self, *arguments, demo=False, environment=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-measure-"))
        self.data = self.folder / "data"
        self.log = open(self.folder / "log", "w+b")
        ports = [word for name in ("http", "https", "rtmp", "rtmps") for word in (f"--{name}", "127.0.0.1:0")]
        self.arguments = [*([] if demo else ["--no-demo"]), *arguments]
        own = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}
        self.environment = {**own, **(environment or {})}
        self._start(dict.fromkeys(DOORS, "127.0.0.1:0"))

    def _start(self, addresses):
        ports = [word for name, address in addresses.items() for word in (f"--{name}", address)]
        self.command = [str(EXE), "serve", "--data-dir", str(self.data), *ports, *self.arguments]
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, env=self.environment, cwd=self.folder)
        deadline = time.monotonic() + 30
        while True:
            try:
                facts = json.loads((self.data / "run.json").read_text())
                if facts["pid"] == self.process.pid:
                    break
            except (OSError, ValueError):
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the server did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.05)
        self.http, self.https, self.rtmp, self.rtmps = (facts[name] for name in DOORS)

    def kill(self):
        """Ends it with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def start_again(self):
        """Starts it on the data and the ports it had."""
        self._start({name: getattr(self, name) for name in DOORS})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        kept = os.environ.get("KEEP_LOGS")
        if kept:
            pathlib.Path(kept).mkdir(parents=True, exist_ok=True)
            shutil.copy(self.folder / "log", pathlib.Path(kept) / f"weir-{self.process.pid}.log")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid

    def add_stream(self, name, *settings):
        """Adds a stream and gives its key."""
        command = [str(EXE), "stream", "add", name, "--json", "--data-dir", str(self.data), *settings]
        made = subprocess.run(command, check=True, capture_output=True, text=True, cwd=self.folder)
        return json.loads(made.stdout)["key"]

    def url(self, path):
        return f"http://{self.http}{path}"

    def get(self, path):
        """The body, or None when the answer is not 200."""
        try:
            with urllib.request.urlopen(self.url(path), timeout=15) as answer:
                return answer.read()
        except (http.client.HTTPException, OSError):
            # A server that is killed may leave half of an answer.
            return None

    def ask(self, method, path, body=None):
        """What the API answers to who has its token, below `/api/v1/`; None when there are no words. An error's status is raised."""
        token = (self.data / "api-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url(f"/api/v1/{path}"), data, headers, method=method)
        with urllib.request.urlopen(request, timeout=15) as answer:
            said = answer.read()
        return json.loads(said) if said else None

    def metric(self, name):
        """The sum over all labels, 0 when there is none."""
        text = (self.get("/metrics") or b"").decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)

    def wait_live(self, name, playlist="index.m3u8", patience=60, segments=1):
        """Waits until the first variant lists whole segments; gives (path, attributes) of all variants."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            text = self.get(f"/live/{name}/{playlist}")
            if text:
                variants = read_variants(text.decode(), f"/live/{name}/{playlist}")
                first = variants and self.get(variants[0][0])
                if first and first.decode().count("#EXTINF") >= segments:
                    return variants
            time.sleep(0.1)
        raise RuntimeError(f"{name}/{playlist} was not live after {patience} s")


def read_variants(text, base):
    """[(path, {attribute: value})] of a multivariant playlist."""
    found, attributes = [], None
    for line in text.splitlines():
        if line.startswith("#EXT-X-STREAM-INF:"):
            attributes = read_attributes(line.split(":", 1)[1])
        elif line and not line.startswith("#") and attributes is not None:
            found.append((base.rsplit("/", 1)[0] + "/" + line, attributes))
            attributes = None
    return found


def read_attributes(text):
    found, rest = {}, text
    while "=" in rest:
        name, rest = rest.split("=", 1)
        if rest.startswith('"'):
            value, rest = rest[1:].split('"', 1)
        else:
            value, _, rest = rest.partition(",")
        found[name.strip(",")] = value
        rest = rest.lstrip(",")
    return found
