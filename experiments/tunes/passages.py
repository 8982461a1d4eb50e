"""Measures whether splits keep the records together that have a passage in common.

    python -m experiments.tunes.passages --input=FOLDER --input=FOLDER ... --json=FILE

reads the tunebooks of any folders and divides their tunes as `convert` does. Then it looks for all
pairs of records with at least --intervals successive intervals in common, note for note, by
comparing every passage of every record; this shares no code with the keys that `convert` joins
records by. A summary goes to stdout: the pairs, those in different splits, the held-out records
that these touch, and the largest group with what joins it.
"""

import itertools
import json
import pathlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from pipelines.music import melody, note_sequence
from pipelines.music.abc import reader, tunebook
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime import app, files
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress
from pipelines.tunes import identity, splits

FLAGS = flags.FLAGS
# How many of the keys that join the largest group are told, and of the pairs that are apart.
_TOLD, _PAIRS_TOLD = 8, 20


def _define_flags() -> None:
    flags.DEFINE_multi_string("input", None, "Folder of tunebooks, or one; may be repeated.")
    flags.DEFINE_integer("intervals", 30, "Length of a passage.", lower_bound=1)
    flags.DEFINE_string("json", None, "File for the numbers and the pairs that are apart.")


class Record(NamedTuple):
    """A tune as it is divided and as it is compared.

    Attributes:
      name: its file and line.
      title: its first title.
      keys: what `convert` recognises it by.
      intervals: of its melody, a byte each.
    """

    name: str
    title: str
    keys: tuple[str, ...]
    intervals: bytes


def record(name: str, sequence: NoteSequence) -> Record:
    """Makes the record of a tune."""
    titles = [*note_sequence.titles(sequence), ""]
    return Record(name, titles[0], identity.keys(sequence), _intervals(sequence))


def _intervals(sequence: NoteSequence) -> bytes:
    notes = melody.first_voice(sequence)
    milliseconds = np.array([round(note.start_time * 1000) for note in notes], np.int64)
    pitches = np.array([note.pitch for note in notes], np.int64)
    ends = np.array([note.end_time for note in notes])
    top = melody.highest(milliseconds, pitches, ends)
    return np.diff(pitches[top]).astype(np.int8).tobytes()


def pairs_with_a_passage(melodies: Sequence[bytes], intervals: int) -> dict[tuple[int, int], bytes]:
    """Finds the pairs of melodies with so many successive intervals in common.

    Returns:
      The first such passage of each pair; a pair is two indices, the smaller one first.
    """
    owners: defaultdict[bytes, list[int]] = defaultdict(list)
    for number, one in enumerate(melodies):
        last = len(one) - intervals
        for passage in dict.fromkeys(one[at : at + intervals] for at in range(last + 1)):
            owners[passage].append(number)
    found: dict[tuple[int, int], bytes] = {}
    for passage, numbers in owners.items():
        for pair in itertools.combinations(numbers, 2):
            found.setdefault(pair, passage)
    return found


def measure(records: Sequence[Record], intervals: int = 30) -> dict[str, Any]:
    """Divides records and measures which pairs with a passage in common are apart."""
    hashes = [splits.hash_keys(record.keys) for record in records]
    flat = np.concatenate([np.zeros(0, ">u8"), *hashes]).astype(np.uint64)
    counts = np.array([len(some) for some in hashes], np.int64)
    own = splits.hash_keys([f"own:{number}" for number in range(len(records))])
    split = splits.assign(own.astype(np.uint64), flat, counts).splits
    groups = splits.join(flat, counts).groups
    pairs = pairs_with_a_passage([record.intervals for record in records], intervals)
    apart = [pair for pair in pairs if split[pair[0]] != split[pair[1]]]
    sizes = np.bincount(groups)
    largest = np.flatnonzero(groups == sizes.argmax())
    return {
        "records": len(records),
        "held out": int(np.count_nonzero(split)),
        "groups": int(np.count_nonzero(sizes)),
        "pairs": len(pairs),
        "pairs of different groups": sum(bool(groups[a] != groups[b]) for a, b in pairs),
        "pairs apart": len(apart),
        "held-out records touched": len({i for pair in apart for i in pair if split[i]}),
        "largest groups": np.sort(sizes)[::-1][:5].tolist(),
        "largest group is of all": round(len(largest) / len(records), 4),
        "what joins the largest": _joining([records[i].keys for i in largest.tolist()]),
        "first pairs apart": [
            {
                "first": f"{records[a].name} {records[a].title}",
                "second": f"{records[b].name} {records[b].title}",
                "intervals": np.frombuffer(pairs[a, b], np.int8).tolist(),
            }
            for a, b in apart[:_PAIRS_TOLD]
        ],
    }


def _joining(keys: Iterable[Sequence[str]]) -> dict[str, int]:
    """The keys that most records of a group have, and how many have each."""
    # Phrases only decide whether titles join.
    counts = Counter(key for some in keys for key in some if not key.startswith(identity.PHRASE))
    return dict(counts.most_common(_TOLD))


def read(paths: Iterable[str]) -> Iterator[Record]:
    """Reads the tunes of tunebooks; those that cannot be read are left out."""
    for path in map(pathlib.Path, paths):
        books = sorted(path.rglob("*.abc")) if path.is_dir() else [path]
        if not books:
            raise UserError(f"{path} has no .abc files; give a folder of tunebooks")
        for book in books:
            for tune in tunebook.tunes(tunebook.decode(book.read_bytes())):
                try:
                    sequence = reader.read(tune)
                except Rejected:
                    continue
                yield record(f"{path.name}/{book.name}:{tune.line}", sequence)


def main() -> None:
    """Runs the measurement from its flags."""
    progress = Progress("tunes read")
    records = []
    for one in read(FLAGS.input):
        records.append(one)
        progress.update(len(records))
    progress.close()
    numbers = measure(records, FLAGS.intervals)
    if FLAGS.json:
        files.write_json(FLAGS.json, numbers)
    del numbers["first pairs apart"]
    print(json.dumps(numbers, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=("input",))
