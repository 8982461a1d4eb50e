"""Gives sounds the sound of a target, by a method that needs no training, or a trained model.

A method learns from two folders of sounds, which need not be the same music: --source sounds as
--input does, --target as the result shall. Each sound is written as a WAV file of the same name, in
mono, at 16,000 frames a second; files of a folder that cannot be read are left out. A line for
each, fields divided by tabs: the file, its seconds, and how many samples were clipped.
OUTPUT/convert.json has the same, and what was left out.

Examples:
  ./run.sh style convert --method=knn --source=pairs/source --target=pairs/target \\
      --input=drums.wav --output=converted
  ./run.sh style convert --run_dir=runs/to_808 --input=drums.wav --output=converted
"""

import pathlib
from typing import Any

from absl import flags

from pipelines import runs
from pipelines.audio import reading
from pipelines.runtime import app, tensorflow
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import require_finite, required_path_flag
from pipelines.runtime.terminal import shown, shown_json
from pipelines.systems.style.sounds.reconstructing import Part
from pipelines.systems.style.transfer import converting, fitting
from pipelines.systems.style.transfer.methods import methods
from pipelines.systems.style.transfer.transfers import SampleTransfer, Transfer

FLAGS = flags.FLAGS

flags.DEFINE_string("input", None, "A sound file, or a folder of them.")
flags.DEFINE_string("output", None, "The folder to make.")
flags.DEFINE_enum(
    "method",
    None,
    list(methods()),
    "; ".join(f"{name}: {methods()[name].summary}" for name in methods()) + ".",
)
flags.DEFINE_string("run_dir", None, "In place of a method: a run of style train.")
flags.DEFINE_string("source", None, "A folder of sounds that sound as --input.")
flags.DEFINE_string("target", None, "A folder of sounds that sound as is wanted.")
flags.DEFINE_float("start", 0.0, "Seconds from the begin of each sound to leave out.", 0.0)
flags.DEFINE_float(
    "seconds",
    0.0,
    f"Seconds to take of each sound; 0 for all, which may be {converting.MOST_SECONDS:g}.",
    0.0,
)
flags.DEFINE_integer("seed", 0, "Draws the sounds that the method learns from.", lower_bound=0)
flags.DEFINE_bool("json", False, "Print JSON instead of lines.")


def main() -> None:
    """Runs the job from its flags."""
    require_finite("start", "seconds")
    output, path = required_path_flag("output"), required_path_flag("input")
    if (FLAGS.method is None) == (FLAGS.run_dir is None):
        raise UserError("give --method, or --run_dir of style train")
    transfer: Transfer | SampleTransfer
    about: dict[str, Any]
    if FLAGS.run_dir is not None:
        if FLAGS.source is not None or FLAGS.target is not None:
            raise UserError("a run has learnt its sounds; leave out --source and --target")
        run_dir = required_path_flag("run_dir")
        reading.sound_files(path)
        runs.require_checkpoint(run_dir, None)
        tensorflow.start("WARN", with_magenta=False)
        from pipelines.systems.style.training import opening

        transfer, about = opening.open_run(run_dir)[0], {"run_dir": run_dir}
    else:
        if FLAGS.source is None or FLAGS.target is None:
            raise UserError(f"--method={FLAGS.method} learns from --source and --target; give both")
        source, target = required_path_flag("source"), required_path_flag("target")
        reading.sound_files(path)  # Bad input is said before the method learns for a minute.
        transfer = fitting.fitted([FLAGS.method], source, target, FLAGS.seed)[FLAGS.method]
        about = {"method": FLAGS.method, "source": source, "target": target, "seed": FLAGS.seed}
    part = Part(FLAGS.start, FLAGS.seconds)
    summary = converting.convert(transfer, about, path, output, part)
    if FLAGS.json:
        print(shown_json(summary))
        return
    for row in summary["files"]:
        file = pathlib.Path(output, row["file"]).as_posix()
        print(shown(f"{file}\t{row['seconds']:.2f}\t{row['clipped']}", keep="\t"))


if __name__ == "__main__":
    app.run(main, required=("input", "output"))
