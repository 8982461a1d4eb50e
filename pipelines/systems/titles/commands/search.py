"""Finds tunes: prints those that fit a title, or other words, best.

Each tune is a line of fields divided by tabs: the rank, the score as that of `titles match`, the
tune's id, its titles divided by " / ", and its rhythm, meter and mode, "-" where its record has
none. With --json the same is one JSON document. Words are compared with the tune and with the
titles of the ten training tunes that are most similar to it, not with its own title.

Examples:
  ./run.sh titles search 'lively reel about a fiddle' --run_dir=runs/titles
  ./run.sh titles search 'a sad waltz' --run_dir=runs/titles --examples_path='mine/*.tfrecord*'
"""

from absl import flags

from pipelines import runs
from pipelines.runtime import app, tensorflow
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import path_flag, required_path_flag
from pipelines.runtime.terminal import shown, shown_json

FLAGS = flags.FLAGS

flags.DEFINE_string("run_dir", None, "The run's folder.")
flags.DEFINE_bool(
    "json", False, "Print JSON instead of lines: tunes, each with rank, score, id, titles and more."
)
flags.DEFINE_integer("top_k", 10, "How many tunes.", lower_bound=1)
flags.DEFINE_string(
    "examples_path",
    None,
    "Glob of TFRecord files of the NoteSequences to search; by default those that the run was "
    "trained on.",
)
flags.DEFINE_string(
    "index",
    None,
    "A folder to keep the vectors of --examples_path in, so that they are not computed again the "
    "next time.",
)
flags.DEFINE_bool(
    "trust",
    False,
    "For a run that was not trained here: trust its text encoder, which is a program, from now on.",
)


def main(words: list[str]) -> None:
    """Runs the job from its flags."""
    if not words:
        raise UserError(
            "say what to search for: ./run.sh titles search 'a sad waltz' --run_dir=DIR"
        )
    run_dir = required_path_flag("run_dir")
    runs.require(run_dir, "titles", "titles train")
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.systems.titles import matching, towers

    if FLAGS.trust:
        towers.trust_run(run_dir)
    found = matching.search(
        run_dir,
        " ".join(words),
        FLAGS.top_k,
        path_flag("examples_path"),
        path_flag("index"),
    )
    if FLAGS.json:
        fields = ("id", "titles", "rhythm", "meter", "mode")
        listed = [
            {"rank": rank, "score": float(score), **{name: tune[name] for name in fields}}
            for rank, (score, tune) in enumerate(found, start=1)
        ]
        print(shown_json({"tunes": listed}))
        return
    for rank, (score, tune) in enumerate(found, start=1):
        titles = " / ".join(tune["titles"])
        row = (tune["id"], titles, tune["rhythm"], tune["meter"], tune["mode"])
        # A field must hold neither a tab nor a line end.
        printed = (shown(" ".join(field.split())) or "-" for field in row)
        print("\t".join([str(rank), f"{score:.3f}", *printed]))


if __name__ == "__main__":
    app.run(main, required=("run_dir",), with_arguments=True)
