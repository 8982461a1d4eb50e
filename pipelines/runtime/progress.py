"""What a job is at before its work shows progress, and how long that took."""

import threading
import time

from pipelines.runtime.app import say


class Stages:
    """Says on stderr what has begun, that it is still going on, and how long it took.

    Leave it (`with`) when the job ends, however it ends.

    Args:
      every: seconds between lines about a stage that takes long.
    """

    def __init__(self, every: float = 10.0):
        self._every = every
        self._over: threading.Event | None = None
        self._begun = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop()

    def begin(self, what: str) -> None:
        """Says that a stage begins, e.g. "loading TensorFlow"."""
        self._stop()
        say(f"{what} ...")
        self._begun = time.monotonic()
        self._over = threading.Event()
        threading.Thread(target=self._tick, args=(what, self._over), daemon=True).start()

    def end(self, result: str) -> None:
        """Says what came of the stage, e.g. "TensorFlow loaded", and the seconds that it took."""
        self._stop()
        say(f"{result} in {time.monotonic() - self._begun:.1f} s")

    def _tick(self, what: str, over: threading.Event) -> None:
        begun = time.monotonic()
        while not over.wait(self._every):
            say(f"{what}: {time.monotonic() - begun:.0f} s so far")

    def _stop(self) -> None:
        if self._over:
            self._over.set()
            self._over = None
