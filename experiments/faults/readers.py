"""What must hold for any input of the readers of MIDI, ABC and records, and inputs to begin with.

An input is read or refused for a reason, and nothing else happens, within a second of processor
time. Reading it again gives the same, so nothing is left behind by the input before it. What is
read keeps to its format: finite times in order, pitches and velocities of MIDI. The tunes around a
damaged one and the records before a damaged one stay as they are, to the byte.

`fuzz` looks for inputs that break this; the tests read those that were found, in
tests/faults/inputs.
"""

import functools
import io
import math
import os
import pathlib
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator

from pipelines.music import midi_reader
from pipelines.music.abc import reader, tunebook
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.records import tfrecord
from pipelines.runtime.app import UserError

INPUTS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "faults" / "inputs"
MAX_SECONDS = 1.0
_NEIGHBOUR = "X:{}\nT:Neighbour\nM:4/4\nL:1/8\nK:G\n|:G>A|[1d:|[2c2|]\n"


class Fault(AssertionError):
    """What did not hold for an input."""


def check_midi(data: bytes) -> str:
    """Reads a MIDI file; returns what came of it, raises Fault for what did not hold."""
    return _twice(_midi, data)


def check_abc(data: bytes, twice_in: int = 1) -> str:
    """Reads a tunebook with a sound tune on either side, as `check_midi`.

    Args:
      data: the tunebook.
      twice_in: of so many inputs, chosen by their bytes, one is read a second time; so is one that
        takes too long.
    """
    try:
        text = tunebook.decode(data)
    except Rejected as error:
        return error.reason
    return _twice(_abc, text, always=zlib.crc32(data) % twice_in == 0)


def check_records(data: bytes) -> str:
    """Reads a TFRecord file that begins with a sound record, as `check_midi`."""
    return _twice(_records, data)


def _midi(data: bytes) -> tuple[str, bytes]:
    try:
        sequence = midi_reader.midi_to_note_sequence(data)
    except Rejected as error:
        return error.reason, b""
    return "read", _sound(sequence)


def _abc(text: str) -> tuple[str, bytes]:
    before, after = _NEIGHBOUR.format(1), _NEIGHBOUR.format(2)
    tunes = list(tunebook.tunes(f"{before}\n\nX:3\n{text}\n\n{after}"))
    if len(tunes) < 3:
        raise Fault(f"{len(tunes)} of at least 3 tunes")
    results = []
    for tune in tunes:
        try:
            results.append(("read", _sound(reader.read(tune._replace(line=1)))))
        except Rejected as error:
            results.append((error.reason, b""))
    if (results[0], results[-1]) != (_alone(before), _alone(after)):
        raise Fault("a neighbour is read differently")
    outcomes = [outcome for outcome, _ in results[1:-1]]
    outcome = "read" if "read" in outcomes else outcomes[0]
    return outcome, b"".join(content for _, content in results)


@functools.cache
def _alone(neighbour: str) -> tuple[str, bytes]:
    (tune,) = tunebook.tunes(neighbour)
    return "read", _sound(reader.read(tune._replace(line=1)))


def _records(data: bytes) -> tuple[str, bytes]:
    # Bytes that change at random never have the checksum of a record. So the first byte says
    # whether they are a file, or the contents of two records of which the second is damaged.
    if data[:1] < b"\x80":
        return _records_of(data[1:])
    place, first, second = data[1:2], data[2:12], data[12:]
    framed = bytearray(_framed(second))
    framed[int.from_bytes(place, "big") % len(framed)] ^= 1
    outcome, read = _records_of(_framed(first) + bytes(framed))
    if (outcome, read) != ("damaged", _framed(first)):
        raise Fault("one changed bit is not noticed, or loses the record before it")
    return outcome, read


def _records_of(data: bytes) -> tuple[str, bytes]:
    with _file() as file:
        tfrecord.write_record(file, b"sound")
        file.write(data)
        file.flush()
        read: list[bytes] = []
        try:
            for record in tfrecord.read(f"/proc/self/fd/{file.fileno()}"):
                read.append(record)
            outcome = "read"
        except UserError:
            outcome = "damaged"
    if read[:1] != [b"sound"]:
        raise Fault("the record before the damage is lost")
    framed = b"".join(_framed(record) for record in read[1:])
    if not data.startswith(framed) or (outcome == "read" and framed != data):
        raise Fault("records are not those of the file")
    return outcome, framed


def _file():
    # In memory, where there is a folder for that.
    return tempfile.TemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)


def _framed(record: bytes) -> bytes:
    file = io.BytesIO()
    tfrecord.write_record(file, record)
    return file.getvalue()


def _sound(sequence: NoteSequence) -> bytes:
    """The sequence as bytes; raises Fault where it is none."""
    if not sequence.notes:
        raise Fault("read, but without a note")
    for note in sequence.notes:
        if not (math.isfinite(note.end_time) and 0 <= note.start_time <= note.end_time):
            raise Fault(f"a note from {note.start_time} to {note.end_time}")
        if not (0 <= note.pitch <= 127 and 1 <= note.velocity <= 127):
            raise Fault(f"a note of pitch {note.pitch} and velocity {note.velocity}")
        if note.end_time > sequence.total_time:
            raise Fault("a note ends after the end")
    for tempo in sequence.tempos:
        if not (math.isfinite(tempo.qpm) and tempo.qpm > 0):
            raise Fault(f"a tempo of {tempo.qpm}")
    return sequence.SerializeToString(deterministic=True)


def _twice(read: Callable, data: bytes | str, always: bool = True) -> str:
    seconds, results = [], []
    while len(results) < 2 and (always or not results or seconds[0] > MAX_SECONDS):
        start = time.thread_time()
        results.append(read(data))
        seconds.append(time.thread_time() - start)
    if results[0] != results[-1]:
        raise Fault("not the same twice")
    if min(seconds) > MAX_SECONDS:
        raise Fault(f"slow: {min(seconds):.1f} s")
    return results[0][0]


CHECKS: dict[str, Callable[[bytes], str]] = {
    "midi": check_midi,
    "abc": check_abc,
    "records": check_records,
}


def seeds(name: str) -> Iterator[bytes]:
    """What a reader's fuzzing begins with: sound inputs of this project's own making."""
    yield from (path.read_bytes() for path in sorted((INPUTS / name).glob("*")))
    if name == "midi":
        from pipelines.demo import grooves

        with tempfile.TemporaryDirectory() as folder:
            grooves.write_corpus(folder)
            paths = sorted(
                pathlib.Path(folder).rglob("*.mid"), key=lambda path: path.stat().st_size
            )
            yield from (path.read_bytes() for path in paths[:20])
    elif name == "abc":
        from pipelines.demo import tunes

        with tempfile.TemporaryDirectory() as folder:
            tunes.write_corpus(folder)
            for path in sorted(pathlib.Path(folder).rglob("*.abc")):
                yield from sorted(path.read_bytes().split(b"\n\n"), key=len)[:20]
    else:
        yield b"\0" + b"".join(_framed(record) for record in (b"", b"x", b"record" * 50))
        yield b"\xff\x05" + bytes(range(64))
