"""Ends work that does not come to an end by itself, such as a reader in an endless loop."""

import contextlib
import ctypes
import threading
import time
from collections.abc import Iterator

_CHECK_SECONDS = 1.0


class TookTooLong(BaseException):
    """Work took longer than its limit; no Exception, which readers catch to reject a piece."""


class Watched:
    """Work that is being watched; call `alive` whenever something of it is done."""

    def __init__(self):
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._since: float | None = time.monotonic()
        self._raised = False
        self.ended = threading.Event()

    def alive(self) -> None:
        """The limit counts from here on."""
        self._since = time.monotonic()

    def watch(self, seconds: float) -> None:
        """Raises TookTooLong in the thread that is watched, once it has done nothing so long."""
        while not self.ended.wait(min(_CHECK_SECONDS, seconds / 4)):
            with self._lock:
                since = self._since
                if since is not None and time.monotonic() - since > seconds:
                    self._raised = True
                    # Between two instructions of Python; C code that keeps the lock of the
                    # interpreter would not be interrupted, but no reader here is such code.
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(self._thread), ctypes.py_object(TookTooLong)
                    )
                    return

    def end(self) -> bool:
        """Ends the watch; returns whether the exception was raised, or is about to be."""
        with self._lock:
            self._since = None
        self.ended.set()
        return self._raised


@contextlib.contextmanager
def watched(seconds: float) -> Iterator[Watched]:
    """Raises TookTooLong in the work within where it does nothing for too long.

    Args:
      seconds: how long it may go on without calling `alive` of what is yielded.
    """
    work = Watched()
    watcher = threading.Thread(target=work.watch, args=(seconds,), daemon=True)
    watcher.start()
    try:
        yield work
    finally:
        if work.end():
            # It may come only now, where the work ended in the same moment.
            with contextlib.suppress(TookTooLong):
                time.sleep(0.01)
        watcher.join()
