"""Feeds damaged tunes to the reader of ABC, and looks for crashes, hangs and wrong neighbours.

    python -m experiments.tunes.fuzz --tunes=1000000 --minutes=20 --json=experiments/tunes/fuzz.json

Real tunes from the shared corpora are cut, spliced, repeated and mixed with what is known to break
parsers. For each damaged tune this must hold:

- it is read or rejected, and nothing else happens; it takes less than a second of processor time;
  reading it twice gives the same;
- in a book between two sound tunes, it leaves both as they are, to the byte.

In sound tunes, changes without a meaning (comments, spaces, back quotes, the number) must change
nothing, and an octave mark on every note must move every note by an octave.

Counts go to stdout; --failures names a file for the texts that failed, a line of JSON each.
"""

import concurrent.futures
import itertools
import json
import multiprocessing
import os
import pathlib
import random
import re
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from absl import flags

from experiments.tunes import shared
from pipelines.music.abc import reader, tunebook
from pipelines.music.abc.tunebook import TuneText
from pipelines.music.limits import Rejected
from pipelines.runtime import app, files
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress

FLAGS = flags.FLAGS
Argument = TypeVar("Argument")
Result = TypeVar("Result")

MAX_SECONDS = 1.0
# A tune that is still being read after this is given up.
_GIVE_UP_SECONDS = 20
_CHUNK = 250
# Ten times the longest shared tune; what takes a second beyond it is long, not stuck.
_LONGEST = 50_000
_MEMORY_BYTES = 4 << 30

_TOKEN = re.compile(
    r"\"[^\"\n]*\"|![^!\n]*!|\[?[A-Za-z]:[^\]\n]*\]?|[\^_=]*[A-Ga-gzxZX][,'\d/]*|\s+|."
)
_NASTY = (
    "(&", "&)", "(&c|d&e", "[\"1\" ", "[12", "|2345", "|:[2", "|:|", "(5", "(9:8:999",
    "C99999999999", "C/99999999999", "C" + "/" * 300, "(9999:9999:9999", "(3", "(0:0:0", "(1:99",
    "((((((((", "))))", "{", "}", "{a", "[", "]", "[]", "[[[[", "[a", "[ab]99999/0", "|:" * 50,
    ":|" * 50, "::", "|||:::", ":::::::|", "|1", ":|2", "[1,2,3-9999", "[99999", "|1-2-3,,,",
    "\nP:A\n", "\nP:(((A99)99)99)\n", "[P:B]", "\nV:2\n", "[V:3 clef=bass]", "\nV:\n", "[V:]",
    "&", "&&&", "(&", "&)", '"', '"C', '"^text', "!", "!trill!", "!trill", "+", "+ab+", "-",
    "-----", ".-", "<", ">", ">>>>>>>>", "<><>", "z99999", "z/", "Z9999", "X9", "x", "y9", "^",
    "__", "^^^^c", "=", "^/4c", "'", ",", "c''''''''''''", "C,,,,,,,,,,,,", "\\\n", "\\", "%",
    "%%", "\n%%begintext\n", "\n%%endtext\n", "\n%%MIDI program 999\n",
    "\n%%MIDI transpose -99999\n", "[K:C#dor]", "[K:]", "[K:Zz exp ^^c __d]", "[M:0/0]",
    "[M:99999/1]", "[M:1+2+3/0]", "[M:C|]", "[L:1/0]", "[L:99999/7]", "[Q:1/4=0]",
    "[Q:1/4=99999999]", "[Q:0]", "[I:linebreak !]", "\nK:none\n", "\nM:none\n", "\nL:1/1024\n",
    "\nm:c=cccc\n", "\nm:~n2=no2\n", "\nU:T=!trill!\n", "\nw:la-la_*|~\n", "\ns:**\n",
    "\n+:more\n", "[r:remark]", "\n\n", "\r", "\r\r\n", "\t", "\v", "\f", "\u2028", "\u00a0",
    "\u202e", "é", "𝄞", "♯", "０", "٣", "&amp;", "<pre>", "</abc>", "=20", "=3D", "$", "*", ";",
    "?", "@", "#", "T:", "\nT:x\n", "\nA:|\n",
)  # fmt: skip


# Damage


def damaged(rng: random.Random, texts: Sequence[str]) -> str:
    """A damaged tune, made from one or two of `texts`; its first line is a whole `X:`."""
    lines = rng.choice(texts).split("\n")
    text = "\n".join(line for line in lines if not line.startswith("X:"))
    for _ in range(rng.choice((1, 1, 2, 3, 5, 10, 30))):
        text = rng.choice(_DAMAGES)(rng, text, texts)[:_LONGEST]
    return f"X:1\n{text}"


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _span(rng: random.Random, length: int) -> tuple[int, int]:
    start = rng.randrange(length + 1)
    return start, min(length, start + int(rng.expovariate(0.3)) + 1)


def _delete(rng: random.Random, text: str, texts: Sequence[str]) -> str:
    tokens = _tokens(text)
    start, end = _span(rng, len(tokens))
    return "".join(tokens[:start] + tokens[end:])


def _salt(rng: random.Random, text: str, texts: Sequence[str]) -> str:
    tokens = _tokens(text)
    tokens.insert(rng.randrange(len(tokens) + 1), rng.choice(_NASTY))
    return "".join(tokens)


def _repeat(rng: random.Random, text: str, texts: Sequence[str]) -> str:
    tokens = _tokens(text)
    start, end = _span(rng, len(tokens))
    times = rng.choice((2, 3, 10, 100, 1000))
    piece = tokens[start:end] * min(times, _LONGEST // max(1, end - start))
    return "".join(tokens[:end] + piece + tokens[end:])


def _swap(rng: random.Random, text: str, texts: Sequence[str]) -> str:
    tokens = _tokens(text)
    if len(tokens) > 1:
        a, b = rng.sample(range(len(tokens)), 2)
        tokens[a], tokens[b] = tokens[b], tokens[a]
    return "".join(tokens)


def _splice(rng: random.Random, text: str, texts: Sequence[str]) -> str:
    other = rng.choice(texts)
    other = "\n".join(line for line in other.split("\n") if not line.startswith("X:"))
    return text[: rng.randrange(len(text) + 1)] + other[rng.randrange(len(other) + 1) :]


def _character(rng: random.Random, text: str, texts: Sequence[str]) -> str:
    at = rng.randrange(len(text) + 1)
    # Any character but surrogates, which no decoded text has.
    code = rng.choice((rng.randrange(128), rng.randrange(256), rng.randrange(0xD800)))
    return text[:at] + chr(code) + text[at + rng.randrange(2) :]


def _bytes(rng: random.Random, text: str, texts: Sequence[str]) -> str:
    data = bytearray(text, "utf-8")
    for _ in range(rng.randrange(1, 4)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    try:
        return tunebook.decode(bytes(data))
    except Rejected:
        return text


def _one_line(rng: random.Random, text: str, texts: Sequence[str]) -> str:
    return text.replace("\n", rng.choice((" ", "", "\\\n", "\r")), rng.randrange(1, 20))


_DAMAGES: tuple[Callable[[random.Random, str, Sequence[str]], str], ...] = (
    _delete,
    _salt,
    _salt,
    _repeat,
    _swap,
    _splice,
    _character,
    _bytes,
    _one_line,
)


# What must hold


class Failure(NamedTuple):
    """What did not hold, and for which text."""

    kind: str
    detail: str
    text: str


class _Hang(BaseException):
    """Raised by the alarm; no handler for Exception may swallow it."""


def _alarm(signal_number: int, frame: Any) -> None:
    raise _Hang


def _read(tune: TuneText) -> bytes:
    """The NoteSequence as bytes, or the reason of its rejection."""
    try:
        return reader.read(tune).SerializeToString(deterministic=True)
    except Rejected as error:
        return f"rejected: {error.reason}".encode()


def _cut(book: str) -> list[TuneText]:
    return list(tunebook.tunes(book))


def _timed(work: Callable[[Argument], Result], argument: Argument) -> tuple[Result, float]:
    """What `work` makes of `argument`, and the processor time that this thread needs for it.

    What looks slow is done twice more, and the least time counts: a collection of garbage in a
    large process (a test run that has loaded TensorFlow) takes seconds, and falls into one only.
    """
    least = float("inf")
    for _ in range(3):
        start = time.thread_time()
        result = work(argument)
        least = min(least, time.thread_time() - start)
        if least <= MAX_SECONDS:
            break
    return result, least


class Fuzzer:
    """Damages tunes and tells what does not hold.

    Args:
      texts: sound tunes, each with its `X:` line first.
    """

    def __init__(self, texts: Sequence[str]):
        self._texts = list(texts)
        self._whole: dict[int, bytes] = {}

    def damage(self, rng: random.Random, counts: Counter[str]) -> Iterator[Failure]:
        """One damaged tune between two sound ones; adds to `counts` and yields what fails."""
        text = damaged(rng, self._texts)
        before, after = rng.randrange(len(self._texts)), rng.randrange(len(self._texts))
        counts["tunes"] += 1
        signal.setitimer(signal.ITIMER_REAL, _GIVE_UP_SECONDS)
        try:
            yield from self._damage(text, before, after, counts)
        except _Hang:
            yield Failure("hang", f"after {_GIVE_UP_SECONDS} s", text)
        except Exception as error:
            yield Failure("crash", f"{type(error).__name__}: {error}", text)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _damage(self, text: str, before: int, after: int, counts: Counter) -> Iterator[Failure]:
        book = "\n\n".join((self._texts[before], text, self._texts[after]))
        tunes, seconds = _timed(_cut, book)
        if seconds > MAX_SECONDS:
            yield Failure("slow to cut", f"{seconds:.1f} s", text)
        for neighbour, tune in ((before, tunes[0]), (after, tunes[-1])):
            if _placed(tune) != self._sound(neighbour):
                yield Failure("neighbour", f"tune {neighbour} is read differently", text)
        for tune in tunes[1:-1]:
            read, seconds = _timed(_read, tune)
            counts["rejected" if read.startswith(b"rejected: ") else "read"] += 1
            if seconds > MAX_SECONDS:
                yield Failure("slow", f"{seconds:.1f} s", text)
            elif _read(tune) != read:
                yield Failure("not the same twice", "", text)

    def _sound(self, index: int) -> bytes:
        if index not in self._whole:
            self._whole[index] = _placed(next(tunebook.tunes(self._texts[index])))
        return self._whole[index]

    def sound(self, index: int) -> Iterator[Failure]:
        """What must hold for a sound tune, however it is dressed."""
        text = self._texts[index]
        if _QUOTED_PRINTABLE.search(text):
            return
        plain = _notes(text)
        for kind, dressed in (
            ("comments", _with_comments(text)),
            ("spaces", _in_music(text, _NOTE, r"\g<0> ")),
            ("back quotes", _in_music(text, _NOTE, r"\g<0>`")),
            ("number", re.sub(r"^X:.*", "X:999", text, count=1)),
        ):
            if _notes(dressed) != plain:
                yield Failure(kind, "changes the notes", dressed)
        raised = _in_music(text, _PITCH, r"\g<0>'")
        if _notes(raised) != [(pitch + 12, *times) for pitch, *times in plain]:
            yield Failure("octave", "does not move all notes by an octave", raised)


def _placed(tune: TuneText) -> bytes:
    """A tune's reading, as if its file began with it: warnings name lines of the file."""
    return _read(tune._replace(line=1, file_header=()))


def _notes(text: str) -> list[tuple[int, float, float, int]]:
    sequence = reader.read(next(tunebook.tunes(text)))
    return [(n.pitch, n.start_time, n.end_time, n.instrument) for n in sequence.notes]


_KEPT = r"""(?P<kept>"[^"]*"|![^!\s|]*!|\[[A-Za-z]:[^\]]*\]|%.*|\+[^+|]*\+|\{[^}]*\}|\[[^\]|]*\])"""
# What e-mail left in tunes: a note before or behind it would be no part of it.
_QUOTED_PRINTABLE = re.compile(r"=(?:20)?$|=3D", re.MULTILINE)
_NOTE = r"[A-Ga-g][,']*\d*(?:/\d*)*(?=[A-Ga-g])"
_PITCH = r"[A-Ga-g][,']*"


def _in_music(text: str, pattern: str, replacement: str) -> str:
    """Rewrites the music of a tune; chords are left alone unless they hold pitches to be raised."""
    kept = _KEPT if pattern == _NOTE else _KEPT.replace(r"|\+[^+|]*\+|\{[^}]*\}|\[[^\]|]*\]", "")
    found = re.compile(f"{kept}|(?P<found>{pattern})")
    lines = []
    body = False
    for line in text.split("\n"):
        field = re.match(r"\s*([A-Za-z+]):(?![|:])", line)
        if body and not field and not line.startswith("%"):
            line = found.sub(lambda match: match["kept"] or match.expand(replacement), line)
        lines.append(line)
        body = body or bool(field and field[1] == "K")
    return "\n".join(lines)


def _with_comments(text: str) -> str:
    lines = []
    body = False
    for line in text.split("\n"):
        lines.append(line)
        body = body or line.startswith("K:")
        if body and not line.endswith("\\"):
            lines[-1] += "  "
            lines.append('% a comment: |: CDEF :| "G" [V:2]')
    return "\n".join(lines)


# The command


def _define_flags() -> None:
    flags.DEFINE_string(
        "corpora", os.environ.get("REELGROOVE_CORPORA"), "Folder of the shared corpora."
    )
    flags.DEFINE_integer("tunes", 1_000_000, "How many tunes to damage.", lower_bound=1)
    flags.DEFINE_float("minutes", 20.0, "The longest time to go on.", lower_bound=0.0)
    flags.DEFINE_integer("processes", 2, "How many processes.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Seed of the damage.")
    flags.DEFINE_string("json", None, "File for the counts.")
    flags.DEFINE_string("failures", None, "File for the failures.")


_fuzzers: list[Fuzzer] = []


def prepare(texts: Sequence[str]) -> None:
    """Makes the process's fuzzer, with a limit on memory and an alarm for hangs."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    signal.signal(signal.SIGALRM, _alarm)
    _fuzzers[:] = [Fuzzer(texts)]


def _chunk(seed: int, number: int) -> tuple[Counter[str], list[Failure], int]:
    """Damages some tunes; returns counts, failures, and the process's peak memory in KiB."""
    rng = random.Random(f"{seed} {number}")
    counts: Counter[str] = Counter()
    failures = [failure for _ in range(_CHUNK) for failure in _fuzzers[0].damage(rng, counts)]
    return counts, failures, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _sound_chunk(start: int, end: int) -> tuple[Counter[str], list[Failure], int]:
    failures = [failure for index in range(start, end) for failure in _fuzzers[0].sound(index)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Counter({"sound tunes": end - start}), failures, peak


def texts_of(folder: pathlib.Path) -> list[str]:
    """The shared tunes that can be read, as texts that begin with X:."""
    texts = []
    for _, tune in shared.tunes(folder):
        lines = [line for line in tune.lines if line.strip() and not line.startswith("X:")]
        texts.append("\n".join(("X:1", *lines)))
    return texts


def main() -> None:
    """Damages tunes until there were enough or time is up."""
    texts = texts_of(pathlib.Path(FLAGS.corpora))
    deadline = time.monotonic() + 60 * FLAGS.minutes
    totals: Counter[str] = Counter()
    failures: list[Failure] = []
    peaks: list[int] = []
    progress = Progress("tunes damaged", FLAGS.tunes)
    started = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(
        FLAGS.processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=prepare,
        initargs=(texts,),
    ) as pool:
        sound = [
            pool.submit(_sound_chunk, start, min(start + _CHUNK, len(texts)))
            for start in range(0, len(texts), _CHUNK)
        ]
        chunks = itertools.count()
        waiting = set(sound)
        submitted = 0
        while waiting:
            while (
                len(waiting) < 2 * FLAGS.processes
                and submitted < FLAGS.tunes
                and time.monotonic() < deadline
            ):
                waiting.add(pool.submit(_chunk, FLAGS.seed, next(chunks)))
                submitted += _CHUNK
            done, waiting = concurrent.futures.wait(
                waiting, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for future in done:
                try:
                    counts, failed, peak = future.result()
                except concurrent.futures.BrokenExecutor as error:
                    raise UserError(
                        f"a process died after {totals['tunes']} tunes with --seed={FLAGS.seed}; "
                        "this is the crash to look for"
                    ) from error
                totals += counts
                failures += failed
                peaks.append(peak)
            progress.update(totals["tunes"], f"({len(failures)} failures)")
    progress.close()
    seconds = time.monotonic() - started
    numbers = {
        "seed": FLAGS.seed,
        "seconds": round(seconds),
        "processes": FLAGS.processes,
        **totals,
        "tunes a second": round(totals["tunes"] / seconds),
        "failures": dict(Counter(failure.kind for failure in failures)),
        "peak MiB of a process, first tenth": round(max(peaks[: len(peaks) // 10 + 1]) / 1024),
        "peak MiB of a process": round(max(peaks) / 1024),
    }
    if FLAGS.json:
        files.write_json(FLAGS.json, numbers)
    if FLAGS.failures:
        with open(FLAGS.failures, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(failure._asdict()) + "\n" for failure in failures)
    print(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=("corpora",))
