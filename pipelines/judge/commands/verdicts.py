"""Judges tunes: copied? in rhythm? in its mode? in form? a melody?

Takes files of ABC notation, MIDI or MusicXML, or folders of them. Prints a line a tune with a score
from 1 to 5 by each criterion: one, and four times the share of people's tunes that are no better.
As in the AI Music Generation Challenge, a tune is rejected that is copied, out of rhythm or out of
mode; those that pass are graded by form and melody. What a verdict rests on is told by bar, for up
to 20 tunes or with --reasons.

Examples:
  ./run.sh judge tunes.abc
  ./run.sh judge tunes.abc --criteria=rhythm,mode --json
  ./run.sh judge music --against=my_tunebooks --page=judged
"""

import collections
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from pipelines.judge import reading, table, verdicts
from pipelines.judge.reading import Read
from pipelines.judge.verdicts import Verdict
from pipelines.runtime import app
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag
from pipelines.runtime.progress import Progress
from pipelines.runtime.terminal import json_escaped, shown

FLAGS = flags.FLAGS
# Of more tunes, reasons are told where they are asked for.
_MOST_WITH_REASONS = 20

flags.DEFINE_list("criteria", [], "Judge by these alone, joined by commas; by default by all.")
flags.DEFINE_multi_string(
    "against", [], "Look for copies of the tunes in these files and folders, rather than of those "
    "that the judge was made from."
)  # fmt: skip
flags.DEFINE_string(
    "judge", None, "The folder of a judge, from ./run.sh judge learn; one comes with the project."
)
flags.DEFINE_bool("json", False, "Print JSON lines, one a tune.")
flags.DEFINE_bool(
    "reasons", None, "Tell what verdicts rest on; by default for up to "
    f"{_MOST_WITH_REASONS} tunes."
)  # fmt: skip
flags.DEFINE_string("page", None, "Make a page of the tunes in this folder, with marks on bars.")


def as_json(read: Read, verdict: Verdict) -> dict[str, Any]:
    """What --json prints of a tune."""
    about = {"file": read.file, "number": read.number, "name": read.name, "title": read.title}
    return {**about, **verdict.as_json()}


def _replaced(names: Sequence[str]) -> Mapping[str, Any]:
    """The judges that the flags put in the place of learnt ones."""
    if not FLAGS.against:
        return {}
    if "copied" not in names:
        raise UserError("--against goes with the criterion copied, which --criteria leaves out")
    return {}


def _tell(found: Sequence[tuple[Read, Verdict]]) -> None:
    """Says on stderr how many tunes there are of each verdict."""
    stages = collections.Counter(verdict.stage for _, verdict in found)
    causes = collections.Counter(cause for _, verdict in found for cause in verdict.rejected_for)
    why = ", ".join(f"{name} {count}" for name, count in causes.items())
    say(
        f"{len(found)} tunes: {stages['passed']} passed, {stages['rejected']} rejected"
        f"{f' ({why})' if why else ''}, {stages['unjudged']} cannot be judged"
    )


def main(arguments: Sequence[str]) -> None:
    """Runs the job from its flags."""
    if not arguments:
        raise UserError("name files or folders: ./run.sh judge tunes.abc (see --help)")
    judge = verdicts.open_judge(
        path_flag("judge") or "", FLAGS.criteria, _replaced(FLAGS.criteria or ["copied"])
    )
    tunes = list(reading.read_all(arguments))
    told = FLAGS.reasons if FLAGS.reasons is not None else len(tunes) <= _MOST_WITH_REASONS
    if not FLAGS.json:
        print(table.head(judge.names))
    found: list[tuple[Read, Verdict]] = []
    with Progress("tunes judged", len(tunes), plain=len(tunes) > _MOST_WITH_REASONS) as progress:
        for number, read in enumerate(tunes, start=1):
            verdict = (
                judge(read.tune) if read.tune else verdicts.unjudged(judge.names, read.problem)
            )
            found.append((read, verdict))
            _show(read, verdict, told)
            progress.update(number)
    sys.stdout.flush()
    _tell(found)


def _show(read: Read, verdict: Verdict, told: bool) -> None:
    if FLAGS.json:
        print(json_escaped(json.dumps(as_json(read, verdict), ensure_ascii=False)))
        return
    print(shown(table.line(read, verdict)))
    if told and read.tune:
        for text in table.reasons(verdict):
            print(shown(text))


if __name__ == "__main__":
    app.run(main, with_arguments=True)
