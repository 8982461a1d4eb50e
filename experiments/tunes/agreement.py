"""Compares what this project reads in ABC tunebooks with another reader.

    python -m experiments.tunes.agreement --reader=abc2midi --program=abc2midi --notes=written
    python -m experiments.tunes.agreement --reader=abc2midi --program=abc2midi --notes=played
    python -m experiments.tunes.agreement --reader=music21 --program=ENVIRONMENT/bin/python
    python -m experiments.tunes.agreement --reader=symusic --program=ENVIRONMENT/bin/python
    python -m experiments.tunes.agreement --reader=abcjs --program=FOLDER/node_modules

The tunebooks are the shared corpora, or all .abc files in any folder (--corpora). README.md beside
this module tells how to install the readers, and what they are compared on. A
table goes to stdout; --json names a file for its numbers, --differences one for the first
difference of every tune that differs, a line of JSON each. --readings keeps what the reader read:
the next run with the same file takes seconds, and gives the same numbers.
"""

import json
import os
import pathlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from absl import flags

from experiments.tunes import comparing, readers, shared
from experiments.tunes.comparing import Difference, Voices
from experiments.tunes.readers import Reader
from experiments.tunes.rules import RULES
from pipelines.music.abc.tunebook import TuneText
from pipelines.music.limits import Rejected
from pipelines.runtime import app, files
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress

FLAGS = flags.FLAGS


def _define_flags() -> None:
    flags.DEFINE_enum("reader", None, sorted(readers.READERS), "The other reader.")
    flags.DEFINE_string("program", None, "Where it is; see above.")
    flags.DEFINE_string(
        "corpora",
        os.environ.get("REELGROOVE_CORPORA"),
        "Folder of the shared corpora, or any folder of .abc files; each folder in it is a corpus.",
    )
    flags.DEFINE_enum("notes", "written", ["written", "played"], "Before or after repeats.")
    flags.DEFINE_string("json", None, "File for the numbers.")
    flags.DEFINE_string("readings", None, "File in which the other reader's readings are kept.")
    flags.DEFINE_string("differences", None, "File for the differences.")


READS: dict[str, Callable[[TuneText], Voices]] = {
    "written": comparing.written,
    "played": comparing.played,
}
# music21 does not play a tune, but marks the repeats in it.
WITHOUT_PLAYING = ("music21",)
IN_TICKS = ("abc2midi", "symusic")


class Verdict(NamedTuple):
    """How a tune compares.

    Attributes:
      outcome: "agrees", "agrees but for" a rule, "agrees but for several", "differs", "rejected"
        (by this project), "crash", "hang" or "error".
      seconds: how long the other reader took for the tune as it is.
      difference: the first one, where the tune as it is differs.
      detail: the reason of a rejection or error.
    """

    outcome: str
    seconds: float
    difference: Difference | None = None
    detail: str = ""


def compare(tune: TuneText, name: str, reader: Reader, notes: str) -> Verdict:
    """Has another reader read a tune, and compares.

    Args:
      tune: its text.
      name: the reader's name.
      reader: the reader.
      notes: "written" or "played".
    """
    verdict = _compare(tune, name, reader, notes)
    if verdict.outcome != "differs":
        return verdict
    rewritten = tune
    for rule, rewrite in RULES.items():
        rewritten = rewrite(rewritten)
        if _compare(rewrite(tune), name, reader, notes).outcome == "agrees":
            return verdict._replace(outcome=f"agrees but for {rule}")
    if _compare(rewritten, name, reader, notes).outcome == "agrees":
        return verdict._replace(outcome="agrees but for several")
    return verdict


def _compare(tune: TuneText, name: str, reader: Reader, notes: str) -> Verdict:
    theirs = reader.read(readers.bare(tune, repeats=notes == "played"))
    if theirs.failure:
        outcome, _, detail = theirs.failure.partition(": ")
        return Verdict(outcome, theirs.seconds, detail=detail)
    try:
        ours = READS[notes](tune)
    except Rejected as error:
        return Verdict("rejected", theirs.seconds, detail=f"{error.reason}: {error.detail}")
    found = comparing.difference(tune, ours, comparing.theirs(theirs), name in IN_TICKS)
    return Verdict("differs" if found else "agrees", theirs.seconds, found)


def report(name: str, reader: Reader, verdicts: Mapping[shared.Place, Verdict]) -> dict[str, Any]:
    """The numbers: outcomes by corpus, and how fast the other reader was."""
    outcomes: dict[str, Counter[str]] = {}
    for place, verdict in verdicts.items():
        outcomes.setdefault(place.corpus, Counter())[verdict.outcome] += 1
    seconds = sum(verdict.seconds for verdict in verdicts.values())
    totals = sum(outcomes.values(), Counter())
    agree = totals["agrees"]
    by_rules = sum(count for outcome, count in totals.items() if outcome.startswith("agrees"))
    return {
        "reader": name,
        "version": reader.version,
        "tunes": len(verdicts),
        "share that agrees": round(agree / len(verdicts), 4),
        "share that agrees but for rules": round(by_rules / len(verdicts), 4),
        "seconds in the reader": round(seconds, 1),
        "tunes a second": round(len(verdicts) / seconds, 1),
        "outcomes": dict(sorted(totals.items())),
        "corpora": {corpus: dict(sorted(counts.items())) for corpus, counts in outcomes.items()},
    }


def table(numbers: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    names = list(numbers["outcomes"])
    summary = (
        f"{numbers['reader']} ({numbers['version']}): {numbers['share that agrees']:.2%} of "
        f"{numbers['tunes']} tunes agree, {numbers['share that agrees but for rules']:.2%} but for "
        f"known rules; it read {numbers['tunes a second']:g} tunes a second"
    )
    lines = [
        summary,
        "",
        f"| outcome | {' | '.join(numbers['corpora'])} | all |",
        "|---|" + "---:|" * (len(numbers["corpora"]) + 1),
    ]
    for name in names:
        cells = [counts.get(name, 0) for counts in numbers["corpora"].values()]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} | {sum(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Compares all tunes."""
    if FLAGS.notes == "played" and FLAGS.reader in WITHOUT_PLAYING:
        raise UserError(f"{FLAGS.reader} gives no notes as played; give --notes=written")
    reader = readers.READERS[FLAGS.reader](FLAGS.program)
    if FLAGS.readings:
        reader = readers.Remembering(reader, FLAGS.readings)
    verdicts: dict[shared.Place, Verdict] = {}
    progress = Progress("tunes compared")
    try:
        for place, tune in shared.tunes_in(pathlib.Path(FLAGS.corpora)):
            verdicts[place] = compare(tune, FLAGS.reader, reader, FLAGS.notes)
            progress.update(len(verdicts), f"({place.corpus})")
    finally:
        reader.close()
    progress.close()
    numbers = report(f"{FLAGS.reader}, notes as {FLAGS.notes}", reader, verdicts)
    if FLAGS.json:
        files.write_json(FLAGS.json, numbers)
    if FLAGS.differences:
        with open(FLAGS.differences, "w", encoding="utf-8") as file:
            for place, verdict in verdicts.items():
                if verdict.outcome != "agrees":
                    line = {"tune": "/".join(map(str, place)), "outcome": verdict.outcome}
                    if verdict.difference:
                        line |= verdict.difference._asdict()
                    else:
                        line["detail"] = verdict.detail
                    file.write(json.dumps(line) + "\n")
    print(table(numbers))


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=("reader", "program", "corpora"))
