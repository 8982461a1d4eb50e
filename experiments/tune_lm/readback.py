"""Reads tunes that a model wrote with this project's reader, abc2midi and music21, and compares.

    ./run.sh generate --run_dir=RUN --num_outputs=1000 --seed=1 --tunebook=tunes.abc ...
    python -m experiments.tune_lm.readback --tunebook=tunes.abc --music21=ENVIRONMENT/bin/python \
        --output=experiments/tune_lm/readback.json

experiments/tunes/README.md tells how to install the readers. abc2midi plays the tunes, repeats and
endings included; music21 gives the notes as they are written. Both have to give the pitches and the
lengths that this project reads, note for note.
"""

import collections
import pathlib
from typing import Any

from absl import flags

from experiments.tunes import readers
from experiments.tunes.agreement import compare
from pipelines.music.abc import tunebook
from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import notation, steps, written
from pipelines.runtime import app, files
from pipelines.runtime.app import say
from pipelines.runtime.progress import Progress

FLAGS = flags.FLAGS


def _define_flags() -> None:
    flags.DEFINE_string("tunebook", None, "The tunes, as generate --tunebook writes them.")
    flags.DEFINE_string("abc2midi", "abc2midi", "The program.")
    flags.DEFINE_string("music21", None, "The Python of an environment with music21.")
    flags.DEFINE_string("output", None, "JSON file to write.")


def own(text: tunebook.TuneText) -> str:
    """What this project's reader makes of a tune: "exact", or what is wrong."""
    read = notate(text)
    if read.warnings:
        return f"warning: {read.warnings[0]}"
    tune = written.from_score(read)
    made = steps.encode(tune)
    if steps.decode(steps.tokens_of(made), steps.given(tune)) != tune:
        return "other tokens"
    (again,) = tunebook.tunes(notation.write(tune, int(text.reference)))
    return "exact" if again.lines == text.lines else "other notation"


def main() -> None:
    """Reads all tunes three times."""
    data = pathlib.Path(FLAGS.tunebook).read_bytes()
    texts = list(tunebook.tunes(tunebook.decode(data)))
    counts: dict[str, collections.Counter[str]] = {"reelgroove": collections.Counter()}
    for text in texts:
        counts["reelgroove"][own(text)] += 1
    others = [("abc2midi", readers.abc2midi(FLAGS.abc2midi), "played")]
    others += [("abc2midi", others[0][1], "written")]
    if FLAGS.music21:
        others.append(("music21", readers.music21(FLAGS.music21), "written"))
    versions = {name: reader.version for name, reader, _ in others}
    for name, reader, notes in others:
        of_reader = counts.setdefault(f"{name}, notes as {notes}", collections.Counter())
        with Progress(f"tunes read by {name}", len(texts)) as progress:
            for number, text in enumerate(texts, start=1):
                verdict = compare(text, name, reader, notes)
                of_reader[verdict.outcome] += 1
                if verdict.outcome != "agrees":
                    say(f"X:{text.reference}: {verdict.outcome}: {verdict.difference}")
                progress.update(number)
    for _, reader, _ in others:
        reader.close()
    rows: dict[str, Any] = {name: dict(found.most_common()) for name, found in counts.items()}
    files.write_json(FLAGS.output, {"tunes": len(texts), "versions": versions, "readers": rows})
    print(f"| {len(texts)} tunes, read by | outcome |\n|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {', '.join(f'{count} {what}' for what, count in row.items())} |")


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=("tunebook", "output"))
