"""Names a tune: prints the titles that fit a MIDI file or the tunes of a tunebook best.

Each title is a line of fields divided by tabs: the rank, the score, "exists" where a tune of that
title is known already, else "new", and the title. A line of "# " and the tune stands before the
titles of each tune. With --json the same is one JSON document. The score is the cosine of tune and
title, and ten times how much the title is spelt like those of the ten most similar training tunes.
It is no probability: it tells kinds of tunes apart, and a title with a high one is about as likely
as any other title of the same kind, but where a training tune has nearly the same notes.

Examples:
  ./run.sh titles match music/sample.mid --run_dir=runs/titles
  ./run.sh titles match tune.abc --run_dir=runs/titles --titles=ideas.txt --exclude_existing
"""

from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from pipelines import runs
from pipelines.runtime import app, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, path_flags, required_path_flag
from pipelines.runtime.terminal import shown, shown_json

FLAGS = flags.FLAGS

flags.DEFINE_string("run_dir", None, "The run's folder.")
flags.DEFINE_bool(
    "json", False, "Print JSON instead of lines: tunes, each with its id and its titles."
)
flags.DEFINE_integer("top_k", 10, "How many titles for each tune.", lower_bound=1)
flags.DEFINE_string(
    "titles",
    None,
    "A text file of titles to choose from, one a line; by default those that the run was trained "
    "on.",
)
flags.DEFINE_string(
    "index",
    None,
    "A folder to keep the vectors of --titles in, so that they are not computed again the next "
    "time.",
)
flags.DEFINE_multi_string(
    "taken", [], "A text file of titles that exist already, one a line; may be repeated."
)
flags.DEFINE_bool(
    "exclude_existing", False, "Leave out titles that exist: those of the run's tunes and --taken."
)
flags.DEFINE_bool(
    "trust",
    False,
    "For a run that was not trained here: trust its text encoder, which is a program, from now on.",
)


def main(paths: list[str]) -> None:
    """Runs the job from its flags."""
    if not paths:
        raise UserError("name the tunes: ./run.sh titles match FILE.mid --run_dir=DIR (see --help)")
    run_dir = required_path_flag("run_dir")
    runs.require(run_dir, "titles", "titles train")
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.representations import scale_degrees
    from pipelines.systems.titles import matching, towers, tunes

    if FLAGS.trust:
        towers.trust_run(run_dir)
    matcher = matching.Matcher(
        run_dir, path_flag("titles"), path_flag("index"), path_flags("taken")
    )
    matched: list[dict[str, Any]] = []
    unread = 0
    for path in paths:
        try:
            sequences = list(tunes.of_file(path))
        except (UserError, OSError) as error:
            # One bad file of several does not stop the others.
            if len(paths) == 1:
                raise
            why = f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
            say(f"left out: {why}")
            unread += 1
            continue
        for sequence in sequences:
            try:
                found = matcher.match(sequence, FLAGS.top_k, FLAGS.exclude_existing)
            except scale_degrees.NoMelodyError as error:
                say(f"{sequence.id}: left out: {error}")
                continue
            rows = [
                {
                    "rank": rank,
                    "score": float(each.score),
                    "status": "exists" if each.existing else "new",
                    "title": each.title,
                }
                for rank, each in enumerate(found, start=1)
            ]
            matched.append({"id": sequence.id, "titles": rows})
            if not FLAGS.json:
                _print_rows(sequence.id, rows)
    if FLAGS.json and matched:
        print(shown_json({"tunes": matched}))
    if not matched:
        named = paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
        raise UserError(f"{named}: no tune with a melody; the lines above say why")
    say(
        "the scores are no probabilities: for a reel, a title at the top is about as likely as any "
        "other reel's title; far over 1, it is spelt like the title of a tune with nearly its notes"
    )
    if unread:
        raise UserError(
            f"{unread} of {len(paths)} files could not be read, see above; repair them or leave "
            "them out"
        )


def _print_rows(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints the titles of a tune, a line each."""
    print(f"# {shown(name)}")
    for row in rows:
        print(f"{row['rank']}\t{row['score']:.3f}\t{row['status']}\t{shown(row['title'])}")


if __name__ == "__main__":
    app.run(main, required=("run_dir",), with_arguments=True)
