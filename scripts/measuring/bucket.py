"""A bucket of a real S3 server behind a network with faults, for a server that copies its recordings there."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from .programs import TOOLS

PREFIX = "weir"
END_WAIT_S = 10


class Bucket:
    """Runs from construction until its `with` block ends; its folder goes with it."""

    def __init__(self):
        # In a session of its own: Ctrl-C is not for it, the end of its input is.
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
        self.home = tempfile.mkdtemp(prefix="weir-bucket-")
        try:
            self.process = subprocess.Popen([str(TOOLS / "bucket")], env={**os.environ, "TMPDIR": self.home}, **pipes)
            self.facts = json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            shutil.rmtree(self.home)
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(END_WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def environment(self):
        """What makes it a server's vault."""
        settings = {"KIND": "s3", "BUCKET": self.facts["bucket"], "PREFIX": PREFIX, "PATH_STYLE": "true", "ENDPOINT": self.facts["endpoint"]}
        keys = {"AWS_ACCESS_KEY_ID": self.facts["access_key"], "AWS_SECRET_ACCESS_KEY": self.facts["secret_key"]}
        return {**keys, **{f"WEIR_VAULT__{name}": value for name, value in settings.items()}}

    def set(self, fault):
        """From now on: `none`, `refuse`, `stall`, `503` or `cut`. Gives how many requests came under what was before."""
        self.process.stdin.write(f"{fault}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["requests"]

    def objects(self):
        """{key without the prefix: file} of what it holds."""
        return files(pathlib.Path(self.facts["folder"]) / PREFIX)

    def media_bytes(self):
        """Bytes of media it holds."""
        return sum(file.stat().st_size for name, file in self.objects().items() if name.endswith(".m4s"))


def files(folder):
    """{path below it: file} of all files; a name that begins with a dot is the store's own."""
    found = ((file.relative_to(folder), file) for file in folder.rglob("*"))
    return {str(name): file for name, file in found if not any(part.startswith(".") for part in name.parts) and file.is_file()}


def recorded(weir):
    """{key: file} of what a server has recorded and is to be copied: media and journals, without its notes and pictures."""
    return {name: file for name, file in files(weir.data / "archive").items() if name.endswith((".m4s", "/journal"))}


def digest(file):
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
