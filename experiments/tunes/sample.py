"""Writes what the readers give for 300 of the shared tunes, as digests that CI compares.

    python -m experiments.tunes.sample --abc2midi=abc2midi --music21=ENVIRONMENT/bin/python \
        --abcjs=FOLDER/node_modules --output=tests/music/abc/agreement.json

The tunes are chosen by a hash of where they are, 60 of each corpus. A digest is of the note list
that a reader gave, pitches and lengths; nothing of the music is kept. Where this project differs,
`differences` tells why: by which rule of `rules.py`, or in words, which are kept from the file
that is replaced; a new difference gets an empty reason, to be filled in by hand.
"""

import hashlib
import json
import os
import pathlib
from typing import Any

from absl import flags

from experiments.tunes import agreement, comparing, readers, shared
from experiments.tunes.shared import Place
from pipelines.music.abc.tunebook import TuneText
from pipelines.runtime import app, files

FLAGS = flags.FLAGS

TUNES_OF_A_CORPUS = 60
COMPARED = (
    ("abc2midi", "written"),
    ("abc2midi", "played"),
    ("music21", "written"),
    ("abcjs", "written"),
    ("abcjs", "played"),
)


def _define_flags() -> None:
    for reader in sorted({reader for reader, _ in COMPARED}):
        flags.DEFINE_string(reader, None, f"Where {reader} is.")
    flags.DEFINE_string(
        "corpora", os.environ.get("REELGROOVE_CORPORA"), "Folder of the shared corpora."
    )
    flags.DEFINE_string("output", None, "The file to write.")


def chosen(folder: pathlib.Path) -> list[tuple[Place, TuneText]]:
    """The tunes of the sample: the first of each corpus in the order of a hash of their places."""
    by_corpus: dict[str, list[tuple[str, Place, TuneText]]] = {}
    for place, tune in shared.tunes(folder):
        key = hashlib.sha256(f"sample {name(place)}".encode()).hexdigest()
        by_corpus.setdefault(place.corpus, []).append((key, place, tune))
    return [
        (place, tune)
        for corpus in shared.CORPORA
        for _, place, tune in sorted(by_corpus[corpus])[:TUNES_OF_A_CORPUS]
    ]


def name(place: Place) -> str:
    """A place as one string."""
    return "/".join(map(str, place))


def main() -> None:
    """Reads the sample with every reader and writes the digests."""
    output = pathlib.Path(FLAGS.output)
    reasons = json.loads(output.read_text())["differences"] if output.exists() else {}
    sample = chosen(pathlib.Path(FLAGS.corpora))
    tunes: dict[str, dict[str, Any]] = {
        name(place): {"text": shared.text_digest(tune)} for place, tune in sample
    }
    differences: dict[str, str] = {}
    versions = {}
    for of, notes in COMPARED:
        reader = readers.READERS[of](FLAGS[of].value or "")
        versions[of] = reader.version
        for place, tune in sample:
            theirs = reader.read(readers.bare(tune, repeats=notes == "played"))
            digest = comparing.digest(comparing.theirs(theirs)) if theirs.voices else None
            tunes[name(place)][f"{of} {notes}"] = digest
            if digest != comparing.digest(agreement.READS[notes](tune)):
                verdict = agreement.compare(tune, of, reader, notes)
                key = f"{name(place)} {of} {notes}"
                by_rule = verdict.outcome.startswith("agrees but")
                differences[key] = verdict.outcome if by_rule else reasons.get(key, "")
        reader.close()
    files.write_json(output, {"versions": versions, "differences": differences, "tunes": tunes})
    unexplained = [key for key, reason in differences.items() if not reason]
    print(f"{len(sample)} tunes, {len(differences)} differences")
    for key in unexplained:
        print(f"no reason yet: {key}")


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=("corpora", "output", *sorted({reader for reader, _ in COMPARED})))
