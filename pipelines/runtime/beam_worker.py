"""A Beam worker process that keeps its log lines to itself and ends with its job.

Beam starts it for `multi_processing`; nobody else does. What goes wrong in it reaches the job as
an exception, traceback included, so the log would only say it twice. A worker of Beam's own would
wait forever where its job was killed.
"""

import logging
import os
import signal
import sys
import threading
import time

_WATCH_SECONDS = 1.0


def main() -> None:
    """Serves the job whose process id is the argument until it is done, or gone."""
    job = int(sys.argv[1])
    threading.Thread(target=_end_with, args=(job,), daemon=True).start()
    # Ctrl-C reaches every process of a terminal; the job decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable(logging.ERROR)
    from apache_beam.runners.worker import sdk_worker_main

    # What a DoFn raises is printed here, past the log, and told to the job as well.
    sys.stderr = open(os.devnull, "w")
    sdk_worker_main.main(sys.argv)


def _end_with(job: int) -> None:
    # An orphan is given another parent.
    while os.getppid() == job:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
