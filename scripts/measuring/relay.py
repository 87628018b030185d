"""A TCP relay on loopback: a line that can be lost in three ways, and a clock for when bytes first went through it."""
import contextlib
import select
import socket
import struct
import threading
import time

# A publisher's handshake and commands are about 4 KiB; what goes beyond is media.
MEDIA_FROM_BYTES = 6_000
PUMP_WAIT_S = 0.05
# SO_LINGER with no patience: closing sends a reset.
RESET = struct.pack("ii", 1, 0)


class Relay:
    """Listens on construction and forwards each connection to `target` ("host:port") until the `with` block ends."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.links = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Closing alone would leave the accepting thread in its call.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        for link in self.links:
            link.end()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.target, 5)
            except OSError:
                near.close()
                continue
            self.links.append(Link(near, far))

    @property
    def first_at(self):
        """When the first byte came from who connected, on the monotonic clock; None before it."""
        return min((link.first_at for link in self.links if link.first_at), default=None)

    @property
    def media_at(self):
        """When the newest connection had sent more than a publisher's greeting; None before it."""
        return self.links[-1].media_at if self.links else None


class Link:
    """One connection and its continuation."""

    def __init__(self, near, far):
        self.near, self.far = near, far
        for end in (near, far):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.first_at = self.media_at = None
        self.bytes_up = 0
        self.still = threading.Event()
        self.threads = [threading.Thread(target=self._pump, args=ends, daemon=True) for ends in ((near, far, True), (far, near, False))]
        for thread in self.threads:
            thread.start()

    def _pump(self, source, sink, up):
        while not self.still.is_set():
            if not select.select([source], [], [], PUMP_WAIT_S)[0]:
                continue
            try:
                data = source.recv(65536)
                if data:
                    sink.sendall(data)
            except OSError:
                data = b""
            if not data:
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
                return
            if up:
                self._count(len(data))

    def _count(self, size):
        self.bytes_up += size
        self.first_at = self.first_at or time.monotonic()
        if self.bytes_up > MEDIA_FROM_BYTES:
            self.media_at = self.media_at or time.monotonic()

    def mute(self):
        """Forwards nothing any more, in either direction; both sockets stay open."""
        self.still.set()

    def reset(self):
        """Ends both sides with a reset."""
        self._close(RESET)

    def end(self):
        """Closes both sides."""
        self._close(None)

    def _close(self, linger):
        self.still.set()
        # A pump that waits for a peer to take bytes is let go by the shutdown; a reset is still one after it.
        for end in (self.near, self.far):
            if linger:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        for thread in self.threads:
            thread.join(2)
        for end in (self.near, self.far):
            end.close()
