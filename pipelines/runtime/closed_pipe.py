"""How a process ends whose output nobody reads any more. It needs nothing but Python itself."""

import contextlib
import os
import select
import sys
from collections.abc import Iterator

# What a shell reports of a program that a closed pipe ended: 128 and the number of SIGPIPE.
STATUS = 141


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Ends the process without a word where the reader of its output has gone.

    `./run.sh configs | head -1` closes the pipe while the job prints. The status is then 141, as
    that of any program that the signal SIGPIPE ends. Pipes to other processes are not meant.
    """
    try:
        yield
        if sys.stdout is not None:
            # What Python cannot write at its own end, it tells by a traceback.
            sys.stdout.flush()
    except BrokenPipeError:
        streams = [stream for stream in (sys.stdout, sys.stderr) if stream is not None]
        closed = [stream for stream in streams if _is_unread(stream.fileno())]
        if not closed:
            raise
        with open(os.devnull, "w") as nowhere:
            for stream in closed:
                os.dup2(nowhere.fileno(), stream.fileno())
        sys.exit(STATUS)


def _is_unread(descriptor: int) -> bool:
    """Whether a file descriptor is a pipe or a socket whose reader has gone."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
