"""A real nginx with its RTMP module and TLS before it, as a server that takes copies; and servers that take none."""
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from .background import Background
from .relay import Relay

MODULES = pathlib.Path("/usr/lib/nginx/modules")
UP_WITHIN_S = 10


def free_port():
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class RtmpTarget:
    """Records what is published to its application `live` and refuses every key at `guarded`, until the `with` block ends."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-nginx-"))
        self.rtmp, self.rtmps, self.http = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self.certificate = self.folder / "cert.pem"
        # Its own authority, and none for others.
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        made += ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
        subprocess.run([*made, "-keyout", self.folder / "key.pem", "-out", self.certificate], check=True, capture_output=True)
        (self.folder / "records").mkdir()
        at = self.folder
        config = f"""load_module {MODULES}/ngx_stream_module.so; load_module {MODULES}/ngx_rtmp_module.so;
            user root; daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log warn; events {{ worker_connections 128; }}
            http {{ access_log off; client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;
              uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; server {{ listen {self.http}; location / {{ return 404; }} }} }}
            stream {{ server {{ listen {self.rtmps} ssl; ssl_certificate {self.certificate}; ssl_certificate_key {at}/key.pem; proxy_pass {self.rtmp}; }} }}
            rtmp {{ access_log off; server {{ listen {self.rtmp}; chunk_size 4096;
              application live {{ live on; record all; record_path {at}/records; record_unique on; }}
              application taken {{ live on; }}
              application guarded {{ live on; on_publish http://{self.http}/; }} }} }}"""
        (at / "nginx.conf").write_text(config)
        self.process = subprocess.Popen(["nginx", "-p", str(at), "-c", str(at / "nginx.conf"), "-e", str(at / "start.log")])
        deadline = time.monotonic() + UP_WITHIN_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(self.rtmps.rsplit(":", 1)[1])), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    raise
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def environment(self):
        """What lets a server send copies to it."""
        return {"WEIR_RESTREAM__ALLOW_PRIVATE": "true", "WEIR_RESTREAM__EXTRA_CA": str(self.certificate)}

    def records(self):
        return sorted((self.folder / "records").iterdir(), key=lambda file: file.stat().st_mtime)


class Strange:
    """Takes connections and says `words` to each, or nothing at all; closes behind words."""

    def __init__(self, words=b""):
        self.words, self.held = words, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.words:
                near.sendall(self.words)
                near.close()
            else:
                self.held.append(near)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        for one in (self.listener, *self.held):
            one.close()


class BrokenWay(Background):
    """A way to a server on which each connection ends in `how` (`mute`, `reset`) when so many bytes went through it."""

    def __init__(self, target, how, after_bytes):
        super().__init__()
        self.relay, self.how, self.after_bytes = Relay(target), how, after_bytes
        self.address = self.relay.address

    def _run(self):
        while not self.stop.wait(0.05):
            for link in self.relay.links:
                if link.bytes_up > self.after_bytes and not link.still.is_set():
                    getattr(link, self.how)()

    def __exit__(self, *reason):
        super().__exit__(*reason)
        self.relay.__exit__()


def stranger_certificate(folder):
    """A TLS server whose certificate nobody signed; its address, and what closes it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    name = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"]
    name += ["-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "stranger.key", "-out", folder / "stranger.pem"]
    subprocess.run(name, check=True, capture_output=True)
    context.load_cert_chain(folder / "stranger.pem", folder / "stranger.key")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(near, server_side=True).close()
            except OSError:
                near.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1], listener
