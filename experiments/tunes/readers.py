"""Independent readers of ABC, each in a process of its own, so that its crashes are counted.

A reader is given a tune without what only some readers give time to or play: decorations
(abc2midi halves staccato notes and plays trills out), slurs (music21 sees no broken rhythm across
their signs), chord symbols, and fields that are not about notes. Grace notes stay in, for what
their accidentals do, but count for nothing.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import IO, Any, NamedTuple, Protocol

import mido

from pipelines.music.abc.tunebook import TuneText
from pipelines.runtime.app import UserError

_PROGRAMS = pathlib.Path(__file__).parent / "programs"
# Twenty times what the slowest reader takes for the longest shared tune.
TIMEOUT_SECONDS = 20.0
_START_SECONDS = 60.0
# MIDI's whole note has 1,920 ticks; tuplets of written lengths have smaller denominators.
_LARGEST_DENOMINATOR = 1920


class Note(NamedTuple):
    """A note; times as fractions of a whole note."""

    onset: Fraction
    pitch: int
    length: Fraction


class Reading(NamedTuple):
    """What a reader made of a tune.

    Attributes:
      voices: the notes of each voice that has any, by onset, then pitch; None where it failed.
      failure: "crash", "hang" or "error: ..."; "" where it read the tune.
      seconds: how long it took.
    """

    voices: list[list[Note]] | None
    failure: str
    seconds: float


class Reader(Protocol):
    """A program that reads ABC."""

    version: str

    def read(self, abc: str) -> Reading:
        """Reads one tune."""

    def close(self) -> None:
        """Ends the program."""


# Bare tunes

_FIELD = re.compile(r"\s*([A-Za-z+]):(?![|:])")
_COMMENT = re.compile(r"(?<!\\)%.*")
_PLAYED_ONLY_BY_SOME = re.compile(
    r"""
      (?P<kept>\[[A-Za-z]:[^\]]*\])
    | "[^"]*"
    | ![A-Za-z0-9<>()+./-]{1,30}!
    | [~H-Wh-w.]
    | \((?!\d) | \)
    """,
    re.VERBOSE,
)
_REPEAT_OR_ENDING = re.compile(
    r"""
      (?P<kept>\[[A-Za-z]:[^\]]*\]|\(\d+:\d*:?\d*)
    | (?:[|:]*:[|:]*|\|+) \s* (?:\[?\s*\d[\d,.-]*)?
    | \[\s*\d[\d,.-]*
    """,
    re.VERBOSE,
)
# Unless told not to, abc2midi lets the notes of a chord begin one after the other.
_FOR_ABC2MIDI = "%%MIDI chordattack 0"
# Fields that say which notes there are and how long. Among the others, R: makes abc2midi swing
# hornpipes, Q: changes abcjs's lengths, and abcjs plays the letters of Nottingham's Y:.
_ABOUT_NOTES = frozenset("IKLMPUVm")


def bare(tune: TuneText, repeats: bool = True) -> str:
    """The tune as the readers are given it, numbered 1.

    Args:
      repeats: whether repeats, variant endings and parts stay in; without them, what a reader
        plays is what is written.
    """
    lines = ["X:1", _FOR_ABC2MIDI]
    body = not any(line.startswith("K:") for line in tune.lines)
    for line in (*tune.file_header, *tune.lines):
        field = _FIELD.match(line)
        if field:
            if field[1] in _ABOUT_NOTES and (repeats or field[1] != "P"):
                lines.append(line)
            body = body or field[1] == "K"
        elif line.lstrip().startswith("%%"):
            lines.append(line)
        elif body:
            # What stands between fields before the key is a note or a history that goes on.
            music = _COMMENT.sub("", line)
            music = _PLAYED_ONLY_BY_SOME.sub(lambda found: found["kept"] or "", music)
            if not repeats:
                music = _REPEAT_OR_ENDING.sub(lambda found: found["kept"] or "|", music)
            lines.append(music)
    # An empty line would end the tune.
    return "".join(f"{line}\n" for line in lines if line.strip())


def _exact(number: str | Fraction) -> Fraction:
    """The musical time that a decimal, such as 0.083333, was rounded from."""
    return Fraction(number).limit_denominator(_LARGEST_DENOMINATOR)


def _voices(raw: Sequence[Sequence[Sequence[Any]]]) -> list[list[Note]]:
    voices = (
        sorted(Note(_exact(onset), int(pitch), _exact(length)) for pitch, onset, length in each)
        for each in raw
    )
    return [voice for voice in voices if voice]


# Programs that stay


class _Program:
    """A program that answers each line of JSON with one; it is started again when it dies."""

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None):
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.version = ""
        self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            self._process = process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
            )
        except OSError as error:
            raise UserError(f"{self._command[0]}: {error.strerror}; install it") from error
        hello = _answer(process, _START_SECONDS)
        if hello is None:
            self.close()
            raise UserError(f"{' '.join(self._command)} does not start; try it by hand")
        self.version = hello["version"]
        return process

    def read(self, abc: str) -> Reading:
        process = self._process or self._start()
        start = time.monotonic()
        with contextlib.suppress(BrokenPipeError):
            _pipe(process.stdin).write(json.dumps(abc).encode() + b"\n")
            _pipe(process.stdin).flush()
        answer = _answer(process, TIMEOUT_SECONDS)
        seconds = time.monotonic() - start
        if answer is None:
            self.close()
            return Reading(None, "hang" if seconds >= TIMEOUT_SECONDS else "crash", seconds)
        if "error" in answer:
            return Reading(None, f"error: {answer['error']}", answer["seconds"])
        return Reading(_voices(answer["voices"]), "", answer["seconds"])

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        with contextlib.suppress(BrokenPipeError):
            _pipe(process.stdin).close()
        _pipe(process.stdout).close()


def _answer(process: subprocess.Popen[bytes], timeout: float) -> dict[str, Any] | None:
    """The next line of a program; None if it ends or takes longer than `timeout`."""
    end = time.monotonic() + timeout
    output = _pipe(process.stdout)
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([output], [], [], max(0.0, end - time.monotonic()))
        data = os.read(output.fileno(), 1 << 20) if ready else b""
        if not data:
            return None
        line += data
    return json.loads(line)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the program was started without this pipe")
    return pipe


def music21(python: str) -> Reader:
    """music21: notes as written; `python` is that of an environment with it."""
    return _Program([python, str(_PROGRAMS / "music21_notes.py")])


def symusic(python: str) -> Reader:
    """symusic: notes as played; `python` is that of an environment with it."""
    return _Program([python, str(_PROGRAMS / "symusic_notes.py")])


def abcjs(node_modules: str) -> Reader:
    """abcjs: notes as played; `node_modules` is the folder that it is installed in."""
    return _Program(
        ["node", str(_PROGRAMS / "abcjs_notes.cjs")],
        {"NODE_PATH": os.path.abspath(node_modules)},
    )


# abc2midi


class _Abc2midi:
    """abc2midi, started for every tune, as it is meant to be used."""

    _OPTIONS = ("-NGRA", "-NGUI", "-NFER", "-NFNP", "-silent")

    def __init__(self, program: str):
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="abc2midi-")
        try:
            said = subprocess.run(
                [program, "-ver"], capture_output=True, text=True, timeout=10, check=False
            )
        except OSError as error:
            raise UserError(f"{program}: {error.strerror}; install abcmidi") from error
        self.version = said.stdout.split()[0] if said.stdout else "unknown"

    def read(self, abc: str) -> Reading:
        source = os.path.join(self._folder.name, "tune.abc")
        target = pathlib.Path(self._folder.name, "tune.mid")
        target.unlink(missing_ok=True)
        with open(source, "w", encoding="utf-8", errors="replace") as file:
            file.write(abc)
        start = time.monotonic()
        try:
            done = subprocess.run(
                [self._program, source, *self._OPTIONS, "-o", str(target)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Reading(None, "hang", time.monotonic() - start)
        seconds = time.monotonic() - start
        if done.returncode < 0:
            return Reading(None, "crash", seconds)
        if not target.exists():
            return Reading(None, f"error: status {done.returncode}, nothing written", seconds)
        return Reading(_midi_notes(target), "", seconds)

    def close(self) -> None:
        self._folder.cleanup()


def _midi_notes(path: pathlib.Path) -> list[list[Note]]:
    """The notes of each track; abc2midi begins every note a tick late and ends it in time."""
    midi = mido.MidiFile(path)
    whole = 4 * midi.ticks_per_beat
    tracks = []
    for track in midi.tracks:
        tick = 0
        opened: dict[tuple[int, int], list[int]] = {}
        notes = []
        for event in track:
            tick += event.time
            if event.type not in ("note_on", "note_off"):
                continue
            key = (event.channel, event.note)
            if event.type == "note_on" and event.velocity:
                opened.setdefault(key, []).append(tick)
            elif opened.get(key):
                start = opened[key].pop(0)
                notes.append(
                    (event.note, Fraction(start - 1, whole), Fraction(tick - start + 1, whole))
                )
        tracks.append(notes)
    return _voices(tracks)


def abc2midi(program: str) -> Reader:
    """abc2midi: notes as played."""
    return _Abc2midi(program)


READERS: dict[str, Callable[[str], Reader]] = {
    "abc2midi": abc2midi,
    "symusic": symusic,
    "music21": music21,
    "abcjs": abcjs,
}


class Remembering:
    """A reader that keeps what it has read in a file, since music21 takes minutes.

    Args:
      reader: the reader.
      path: the file, with a line of JSON for each tune; it is made if there is none.
    """

    def __init__(self, reader: Reader, path: str | os.PathLike):
        self._reader = reader
        self.version = reader.version
        self._known: dict[str, Any] = {}
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            self._known = {key: reading for key, reading in map(json.loads, file)}
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - open until `close`

    def read(self, abc: str) -> Reading:
        """Looks up a tune, or reads it and writes it down."""
        key = hashlib.sha256(f"{self.version}\n{abc}".encode("utf-8", "replace")).hexdigest()
        if key in self._known:
            voices, failure, seconds = self._known[key]
            return Reading(voices and _voices(voices), failure, seconds)
        reading = self._reader.read(abc)
        voices = reading.voices and [
            [(note.pitch, str(note.onset), str(note.length)) for note in voice]
            for voice in reading.voices
        ]
        self._known[key] = (voices, reading.failure, reading.seconds)
        self._file.write(json.dumps((key, self._known[key])) + "\n")
        return reading

    def close(self) -> None:
        """Closes the file and the reader."""
        self._file.close()
        self._reader.close()
