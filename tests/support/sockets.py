"""What the processes of a running job listen on."""

import subprocess
import time

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


def while_running(job: subprocess.Popen, seconds: float) -> tuple[set[tuple[str, str, int]], int]:
    """Looks at a job again and again until it ends.

    Returns:
      All that it was seen to listen on, and the most processes that it had at once.
    """
    found, most = set(), 0
    deadline = time.monotonic() + seconds
    while job.poll() is None:
        assert time.monotonic() < deadline, "the job does not end"
        found |= listeners(job.pid)
        most = max(most, len(processes(job.pid)))
        time.sleep(0.05)
    return found, most
