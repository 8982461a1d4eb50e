"""A worker whose reader of MIDI hangs, needs 10 GB, or kills its process; for `faults`.

`faults` names it to the job instead of the cluster's own. Its reader fails at every 100th file that
a process reads, so that each attempt of the job fails again.
"""

import os
import signal
import sys

from pipelines.corpora import worker as of_corpora
from pipelines.music import midi_reader


def hang() -> None:
    """Goes on forever. So that nobody waits ten minutes, the limit is ten seconds."""
    while True:
        pass


def memory() -> None:
    """Asks for 10 GB where the process may have 6 (`ulimit -v`)."""
    bytearray(10 << 30)


def killed() -> None:
    """Ends as a process does for which the system has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


KINDS = {"hang": hang, "memory": memory, "killed": killed}


def spoil(kind: str) -> None:
    """Has the reader of MIDI fail at every 100th file that this process reads."""
    read, count = midi_reader.midi_to_note_sequence, 0

    def spoilt(*arguments):
        nonlocal count
        count += 1
        if count % 100 == 0:
            KINDS[kind]()
        return read(*arguments)

    midi_reader.midi_to_note_sequence = spoilt
    of_corpora.MAX_SECONDS_OF_PIECE = 10.0


if __name__ == "__main__":
    spoil(sys.argv.pop(1))
    from experiments.cluster import worker

    worker.run()
