"""Other programs that a measurement runs: publishers, players, probes, and the clips they are given."""
import contextlib
import functools
import json
import os
import pathlib
import re
import subprocess
import tempfile

from .server import ROOT

SHARED = ROOT.parent / "shared"
MEDIA = SHARED / "media"
PROBES = ROOT / "target/probes"
WORK = ROOT / "target/accept"
# The programs that measurements need beside the server; WEIR_TEST_TOOLS names a folder where they lie already.
TOOLS = pathlib.Path(os.environ.get("WEIR_TEST_TOOLS") or ROOT / "target/release")


def build_tools():
    """Builds them unless they lie elsewhere."""
    if "WEIR_TEST_TOOLS" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "--locked", "-p", "tests", "--bins"], cwd=ROOT, check=True)


def run(command, timeout, env=None):
    """(exit status, standard output, both outputs). A timeout is status 124."""
    # Into files: node ends without waiting for what a pipe has no room for.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=err, env={**os.environ, **(env or {})}, start_new_session=True)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            # Its own process group, made above, so nothing else is hit.
            os.killpg(process.pid, 9)
            process.wait()
            status = 124
        out.seek(0)
        err.seek(0)
        said = out.read()
        return status, said, said + err.read()


def shown(command):
    """A command for the table: no random keys, no machine's folders."""
    text = " ".join(str(word) for word in command)
    text = text.replace(str(PROBES), "probes").replace(str(MEDIA), "media").replace(str(ROOT), ".")
    text = re.sub(r"wk_\w+", "KEY", text)
    return "`" + re.sub(r"127\.0\.0\.1:\d+", "HOST", text) + "`"


def last_json(text):
    """The last JSON object in a program's output, whether on one line or many."""
    for start in (text.rfind("\n{"), text.find("{")):
        with contextlib.suppress(ValueError):
            if isinstance(found := json.loads(text[start:].strip()), dict):
                return found
    for line in reversed(text.splitlines()):
        with contextlib.suppress(ValueError):
            if isinstance(found := json.loads(line), dict):
                return found
    return {}


@contextlib.contextmanager
def started(command, env=None):
    """A program in the background, killed at the end by its own process group."""
    log = open(WORK / "background.log", "ab")
    process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, env={**os.environ, **(env or {})}, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        log.close()


def copy_push(clip, url, ffmpeg="ffmpeg", options=()):
    return [ffmpeg, "-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", *options, "-f", "flv", url]


@functools.cache
def pattern(name, seconds, size="1280x720", fps=30, options=(), audio=("-c:a", "aac", "-b:a", "128k"), video="testsrc2"):
    """A clip made by ffmpeg, kept in target/accept."""
    WORK.mkdir(parents=True, exist_ok=True)
    file = WORK / f"{name}.mkv"
    if not file.exists():
        draft = file.with_suffix(".draft.mkv")
        encode = options or ("-g", "60", "-bf", "2", "-b:v", "2500k")
        source = f"{video}=s={size}:r={fps}:d={seconds}"
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", source]
        command += ["-f", "lavfi", "-i", f"sine=f=440:b=4:r=48000:d={seconds}", "-c:v", "libx264", "-preset", "veryfast"]
        command += ["-pix_fmt", "yuv420p", *encode, *audio, "-ac", "2", draft]
        subprocess.run([str(word) for word in command], check=True)
        draft.rename(file)
    return file
