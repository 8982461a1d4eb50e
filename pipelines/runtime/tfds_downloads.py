"""Downloads by TensorFlow Datasets: they report on stderr, and give up soon where there is no way.

By itself TFDS tries to reach a host eleven times, with a longer pause before each attempt, and
waits without a limit for one that does not answer.
"""

import contextlib
import sys
from collections.abc import Iterator

from pipelines.runtime.progress import on_terminal

# Seconds to wait for a connection, and then for the first bytes.
_PATIENCE = (5, 20)


@contextlib.contextmanager
def careful() -> Iterator[None]:
    """While it lasts, TFDS downloads only from hosts that answer, and leaves stdout alone.

    A file that was downloaded before is taken without asking its host, as usual. A host that
    cannot be reached raises an OSError.
    """
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import downloader

    open_url = downloader._open_url

    def open_reachable_url(url: str, **kwargs):
        if url.startswith("http"):
            # It knows proxies and certificates as the download itself does.
            requests.get(url, stream=True, timeout=_PATIENCE, **kwargs).close()
        return open_url(url, **kwargs)

    if not on_terminal():
        tfds.disable_progress_bar()
    downloader._open_url = open_reachable_url
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        downloader._open_url = open_url


def reason(error: Exception) -> str:
    """Why a dataset cannot be had, in one line."""
    import requests

    if isinstance(error, requests.exceptions.RequestException):
        host = str(error.request.url) if error.request is not None else "its host"
        return f"no answer from {host}: {type(error).__name__}; is there a network?"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
