"""What is looked at beside a measurement."""
import threading


class Background:
    """A thread that runs `_run` as long as its `with` block lasts; then `stop` is set and it is waited for."""

    def __init__(self):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
