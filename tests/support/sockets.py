"""What the processes of a running job listen on."""

import contextlib
import os
import threading
from collections.abc import Iterator

import psutil


def processes(pid: int) -> list[psutil.Process]:
    """A process and all that it started, as far as they live."""
    try:
        job = psutil.Process(pid)
        return [job, *job.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def listeners(pid: int) -> set[tuple[str, str, int]]:
    """Kind, address and port of what a process and all that it started listen on now.

    A Unix socket has its path as the address. A UDP socket without a peer takes from anyone.
    """
    found = set()
    for process in processes(pid):
        try:
            for one in process.net_connections("inet"):
                if one.status == psutil.CONN_LISTEN:
                    found.add(("tcp", *one.laddr))
                elif one.status == psutil.CONN_NONE and one.laddr and not one.raddr:
                    found.add(("udp", *one.laddr))
            for one in process.net_connections("unix"):
                if one.laddr:
                    found.add(("unix", one.laddr, 0))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended while we looked
    return found


class Seen:
    """What was seen of the processes that this one started.

    Attributes:
      listeners: all that they listened on, as `listeners` gives it.
      processes: the most that there were at once, at two looks in a row: what a process asks
        another program for a moment is none of a job's.
    """

    def __init__(self):
        self.listeners: set[tuple[str, str, int]] = set()
        self.processes = 0


@contextlib.contextmanager
def watching(seconds: float = 0.05) -> Iterator[Seen]:
    """Looks again and again at what this process started, until the context is left."""
    seen = Seen()
    done = threading.Event()
    # This process, and what other tests have started in it, such as a server.
    known, known_listeners = set(processes(os.getpid())), listeners(os.getpid())

    def watch():
        before: set[psutil.Process] = set()
        while not done.wait(seconds):
            seen.listeners |= listeners(os.getpid()) - known_listeners
            now = set(processes(os.getpid())) - known
            seen.processes = max(seen.processes, len(now & before))
            before = now

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
