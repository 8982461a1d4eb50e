"""Counts the tunes that the tokens of `abc_tokens` say exactly.

    python -m experiments.tune_lm.round_trip --input=DIR/abc \
        --output=experiments/tune_lm/round_trip.json

A tune is exact if its tokens give the same written tune back, if that plays as the text of the
tunebook does (notes, tempos, meters, keys, sections and the end of the NoteSequence are equal, bit
by bit), and if its ABC notation, read again, gives the same tokens and the same tune.
"""

import collections
from typing import Any

from absl import flags

from pipelines.corpora import abc
from pipelines.music.abc import reader, tunebook
from pipelines.music.abc.notation import notate
from pipelines.music.abc.score import Score
from pipelines.representations.abc_tokens import notation, steps, written
from pipelines.runtime import app, files
from pipelines.runtime.progress import Progress

FLAGS = flags.FLAGS

EXACT = "exact"
# Why a tune is not of one voice.
OF_SEVERAL_VOICES = ("voices", "chord")
_MUSIC = ("notes", "tempos", "time_signatures", "key_signatures", "section_annotations")


def _define_flags() -> None:
    flags.DEFINE_multi_string("input", None, "Tunebooks: files, folders or archives.")
    flags.DEFINE_string("output", None, "JSON file to write.")


def outcome(text: tunebook.TuneText) -> str:
    """What becomes of a tune: EXACT, why it is left out, or what is not the same."""
    read = notate(text)
    try:
        tune = written.from_score(read)
        made = steps.encode(tune)
    except written.LeftOut as left_out:
        return left_out.reason
    if steps.decode(steps.tokens_of(made), steps.given(tune)) != tune:
        return "other tokens"
    if _music(written.to_score(tune)) != _music(read):
        return "plays otherwise"
    (again,) = tunebook.tunes(notation.write(tune))
    return EXACT if written.from_score(notate(again)) == tune else "other notation"


def _music(score: Score) -> list[Any]:
    played = reader.perform(score)
    parts = (getattr(played, name) for name in _MUSIC)
    return [played.total_time, *([one.SerializeToString() for one in part] for part in parts)]


def main() -> None:
    """Counts, writes and prints."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    progress = Progress("tunes written and read")
    for number, (name, text) in enumerate(abc.texts(FLAGS.input), start=1):
        progress.update(number)
        counts[name.split("/")[0]][outcome(text)] += 1
    progress.close()
    rows = {corpus: dict(counts[corpus].most_common()) for corpus in sorted(counts)}
    rows["all"] = dict(sum(counts.values(), collections.Counter()).most_common())
    files.write_json(FLAGS.output, rows)
    print("| corpus | tunes | of one voice | exact | share | the rest |\n|---|---|---|---|---|---|")
    for corpus, row in rows.items():
        one_voice = sum(count for name, count in row.items() if name not in OF_SEVERAL_VOICES)
        rest = ", ".join(f"{count} {name}" for name, count in row.items() if name != EXACT)
        exact = row.get(EXACT, 0)
        print(
            f"| {corpus} | {sum(row.values())} | {one_voice} | {exact} | "
            f"{exact / max(one_voice, 1):.2%} | {rest} |"
        )


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=("input", "output"))
