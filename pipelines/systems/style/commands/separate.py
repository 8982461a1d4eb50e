"""Separates songs into the sounds in them: drums and the rest.

hpss, the default, needs no model: it tells what is percussive from what is harmonic by medians of
the spectrogram (percussive.wav, harmonic.wav). net is a small network that learnt drums and the
rest from rendered music (drums.wav, rest.wav); --run_dir takes another one. Of both, the two files
sum to the song, and have its rate and channels. demucs and spleeter are programs that you have
installed; they write drums.wav, bass.wav, vocals.wav and other.wav.

Songs of any length are read and written in chunks. A line for each song, fields divided by tabs:
the folder of its sounds, its seconds, and for each sound its name and its level in dB of full scale
("-" for silence). Songs of a folder that cannot be read are left out. OUTPUT/separate.json has the
same, and what was left out.

Examples:
  ./run.sh style separate --input=song.wav --output=separated
  ./run.sh style separate --input=songs --method=net --output=separated
  ./run.sh style separate --input=song.mp3 --method=demucs --output=separated
"""

import pathlib

from absl import flags

from pipelines.audio import separation, separation_programs
from pipelines.audio.separation import Separator
from pipelines.runtime import app, tensorflow
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import path_flag, required_path_flag
from pipelines.runtime.terminal import shown, shown_json
from pipelines.systems.style.separation import mask_folders, separating

FLAGS = flags.FLAGS

flags.DEFINE_string("input", None, "A sound file, or a folder of them.")
flags.DEFINE_enum(
    "method",
    "hpss",
    ["hpss", "net", *separation_programs.PROGRAMS],
    "hpss: percussive and harmonic, by medians; net: drums and the rest, by a network; demucs, "
    "spleeter: those programs, if installed.",
)
flags.DEFINE_string(
    "run_dir",
    None,
    "Of net: the folder of a run of ./run.sh style train_separator; by default the network that "
    "comes with the project.",
)
flags.DEFINE_string("output", None, "The folder to make.")
flags.DEFINE_bool("json", False, "Print JSON instead of lines.")


def main() -> None:
    """Runs the job from its flags."""
    source, output = required_path_flag("input"), required_path_flag("output")
    summary = separating.separate(source, output, FLAGS.method, _separator())
    if FLAGS.json:
        print(shown_json(summary))
        return
    for row in summary["files"]:
        fields = [pathlib.Path(output, row["folder"]).as_posix(), f"{row['seconds']:.2f}"]
        for name, level in row["level_db"].items():
            fields += [name, "-" if level is None else f"{level:.1f}"]
        print(shown("\t".join(fields), keep="\t"))


def _separator() -> Separator | None:
    """What the flags name; None for a program."""
    run_dir = path_flag("run_dir")
    if run_dir and FLAGS.method != "net":
        raise UserError(f"--run_dir names a network; give --method=net, not {FLAGS.method}")
    if FLAGS.method != "net":
        return separation.HPSS if FLAGS.method == "hpss" else None
    folder = run_dir or mask_folders.OURS
    mask_folders.require(folder)
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.systems.style.separation import mask_model

    return mask_model.separator(mask_model.open_model(folder))


if __name__ == "__main__":
    app.run(main, required=("input", "output"))
