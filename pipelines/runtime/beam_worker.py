"""A Beam worker process that prints no log lines and ends with its job.

Only Beam starts it, for `multi_processing`. An error in it reaches the job as an exception with its
traceback, so that a log would only repeat it. Beam's own worker would wait forever after its job
was killed.
"""

import logging
import os
import signal
import sys
import threading
import time

_WATCH_SECONDS = 1.0


def main() -> None:
    """Serves the job, whose process id is the argument, until the job is done or was killed."""
    job = int(sys.argv[1])
    threading.Thread(target=_end_with, args=(job,), daemon=True).start()
    # Ctrl-C reaches every process of a terminal; the job decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable(logging.ERROR)
    from apache_beam.runners.worker import sdk_worker_main

    # Beam prints what a DoFn raises to stderr, past the log, and sends it to the job as well.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # as long as the process lives
    sdk_worker_main.main(sys.argv)


def _end_with(job: int) -> None:
    # When the job's process ends, the system gives its workers another parent.
    while os.getppid() == job:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
