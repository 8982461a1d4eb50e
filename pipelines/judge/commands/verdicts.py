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
  ./run.sh judge archive.zip --criteria=rhythm,mode,form,melody --output=verdicts
"""

import collections
import functools
import sys
from collections.abc import Callable, Sequence

from absl import flags

from pipelines.judge import reading, table, verdicts
from pipelines.judge.reading import Read
from pipelines.judge.verdicts import Verdict
from pipelines.music import formats
from pipelines.runtime import app, cores, storage
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, path_flags
from pipelines.runtime.progress import Progress
from pipelines.runtime.terminal import print_path, shown

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
flags.DEFINE_string(
    "output",
    None,
    "Judge many files by Beam, and write verdicts.jsonl in this folder, also at s3:// or gs://.",
)
flags.DEFINE_list("pipeline_options", None, "With --output: options for Beam, joined by commas.")
flags.DEFINE_bool("overwrite", False, "With --output: replace an older verdicts.jsonl.")
flags.DEFINE_string("page", None, "Make a page of the tunes in this folder, with marks on bars.")


def _tunes(count: int) -> str:
    return "1 tune" if count == 1 else f"{count} tunes"


def _tell(found: Sequence[tuple[Read, Verdict]]) -> None:
    """Says on stderr how many tunes there are of each verdict."""
    stages = collections.Counter(verdict.stage for _, verdict in found)
    causes = collections.Counter(cause for _, verdict in found for cause in verdict.rejected_for)
    why = ", ".join(f"{name} {count}" for name, count in causes.items())
    say(
        f"{_tunes(len(found))}: {stages['passed']} passed, {stages['rejected']} rejected"
        f"{f' ({why})' if why else ''}, {stages['unjudged']} cannot be judged"
    )


def main(arguments: Sequence[str]) -> None:
    """Runs the job from its flags."""
    if not arguments:
        raise UserError("name files or folders: ./run.sh judge tunes.abc (see --help)")
    settings = path_flag("judge") or "", FLAGS.criteria, path_flags("against")
    for path in (settings[0], *settings[2]):
        if storage.is_address(path):
            raise UserError(f"{path}: --judge and --against name what is on a disk; copy it there")
    if output := path_flag("output"):
        _judge_many(arguments, output, settings)
        return
    for name in ("pipeline_options", "overwrite"):
        if FLAGS[name].value:
            raise UserError(f"--{name} goes with --output")
    cores.compute_on_one()
    judge = verdicts.open_judge(*settings)
    tunes = list(reading.read_all(arguments))
    page = _page(tunes)
    # Of MIDI and MusicXML nothing but the name of the file tells which tune it is.
    with_files = len({read.file for read in tunes}) > 1 or any(
        read.file.lower().endswith(formats.SCORES) for read in tunes
    )
    told = FLAGS.reasons if FLAGS.reasons is not None else len(tunes) <= _MOST_WITH_REASONS
    if not FLAGS.json:
        print(table.head(judge.names))
    found: list[tuple[Read, Verdict]] = []
    with Progress("tunes judged", len(tunes), plain=len(tunes) > _MOST_WITH_REASONS) as progress:
        for number, read in enumerate(tunes, start=1):
            found.append((read, verdicts.of(judge, read)))
            _show(*found[-1], told, with_files)
            progress.update(number)
    sys.stdout.flush()
    _tell(found)
    if page:
        say(f"to listen: {page(found)}")


def _page(tunes: Sequence[Read]) -> Callable[[Sequence[tuple[Read, Verdict]]], str] | None:
    """Makes the page of --page, once there are verdicts; what is in the way of it is told now."""
    directory = path_flag("page")
    if not directory:
        return None
    # Imported here because what draws pages takes a second.
    from pipelines.judge import pages

    pages.require_room(directory, tunes)
    return functools.partial(pages.write, directory)


def _judge_many(paths: Sequence[str], output: str, settings: tuple[str, list, list]) -> None:
    """Judges by Beam, into a file."""
    from pipelines.judge import batches

    for name in ("json", "reasons", "page"):
        if FLAGS[name].value:
            raise UserError(f"--{name} goes without --output, whose file has all of it")
    path, counts = batches.judge(paths, output, settings, FLAGS.pipeline_options, FLAGS.overwrite)
    told = ", ".join(f"{count} {stage}" for stage, count in counts.items())
    say(f"{_tunes(sum(counts.values()))}: {told}")
    print_path(path)


def _show(read: Read, verdict: Verdict, told: bool, with_file: bool) -> None:
    if FLAGS.json:
        print(verdicts.json_line(read, verdict).decode(), end="")
        return
    print(shown(table.line(read, verdict, with_file)))
    if told and read.tune:
        for text in table.reasons(verdict):
            print(shown(text))


if __name__ == "__main__":
    app.run(main, with_arguments=True)
