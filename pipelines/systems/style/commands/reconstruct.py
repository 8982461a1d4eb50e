"""Turns sound into a spectrogram and back, to hear and measure what the spectrogram keeps.

Phases are not kept: they are found by fast Griffin-Lim, or by a trained WaveNet (--vocoder). Each
sound is written as a WAV file of the same name, in mono, as long as it was. A line for each, fields
divided by tabs: the file, its seconds, the spectral convergence and the log-spectral distance in dB
(the lower the better; "-" for silence). Files of a folder that cannot be read are left out.
OUTPUT/reconstruct.json has the same, and what was left out.

Examples:
  ./run.sh style reconstruct --input=song.wav --representation=mel --output=through_mel
  ./run.sh style reconstruct --input=song.mp3 --representation=cqt --start=60 --seconds=20 \\
      --output=through_cqt
  ./run.sh style reconstruct --input=song.wav --representation=mel --vocoder=runs/wavenet \\
      --output=through_wavenet
"""

import pathlib
from collections.abc import Callable

import numpy as np
from absl import flags

from pipelines.audio import spectrograms
from pipelines.runtime import app, tensorflow
from pipelines.runtime.app import UserError
from pipelines.runtime.flags import path_flag, require_finite, required_path_flag
from pipelines.runtime.terminal import shown, shown_json
from pipelines.systems.style.sounds import reconstructing
from pipelines.systems.style.transfer import transfers

FLAGS = flags.FLAGS

flags.DEFINE_string("input", None, "A sound file, or a folder of them.")
flags.DEFINE_enum(
    "representation",
    None,
    list(spectrograms.REPRESENTATIONS),
    "stft: magnitudes of 50 ms every 12.5; mel: 192 bands of those; cqt: a bin a "
    "semitone, every 512 frames.",
)
flags.DEFINE_string("output", None, "The folder to make.")
flags.DEFINE_integer(
    "sample_rate",
    16_000,
    "Frames a second; sounds of another rate are resampled.",
    lower_bound=8_000,
    upper_bound=96_000,
)
flags.DEFINE_float("start", 0.0, "Seconds from the begin of each sound to leave out.", 0.0)
flags.DEFINE_float(
    "seconds",
    0.0,
    f"Seconds to take of each sound; 0 for all, which may be {reconstructing.MOST_SECONDS:g}.",
    0.0,
)
flags.DEFINE_string(
    "vocoder",
    None,
    "With mel: the run's folder of a WaveNet, from style train --model=wavenet, which draws the "
    "sound sample by sample, instead of Griffin-Lim.",
)
flags.DEFINE_bool("json", False, "Print JSON instead of lines.")


def _vocoder(run_dir: str | None) -> Callable[[np.ndarray], np.ndarray] | None:
    """What the vocoder of a run makes of a sound; None where no run is named."""
    if not run_dir:
        return None
    if FLAGS.representation != "mel" or FLAGS.sample_rate != transfers.RATE:
        raise UserError(
            f"--vocoder goes with --representation=mel and --sample_rate={transfers.RATE}"
        )
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.systems.style.vocoders import vocoder

    opened = vocoder.open_vocoder(run_dir)
    return lambda samples: opened.sound(transfers.mels(samples), len(samples))


def main() -> None:
    """Runs the job from its flags."""
    require_finite("start", "seconds")
    output = required_path_flag("output")
    summary = reconstructing.reconstruct(
        required_path_flag("input"),
        FLAGS.representation,
        output,
        FLAGS.sample_rate,
        reconstructing.Part(FLAGS.start, FLAGS.seconds),
        _vocoder(path_flag("vocoder")),
    )
    if FLAGS.json:
        print(shown_json(summary))
        return
    for row in summary["files"]:
        fields = [pathlib.Path(output, row["file"]).as_posix(), f"{row['seconds']:.2f}"]
        for name in ("spectral_convergence_db", "log_spectral_distance_db"):
            fields.append("-" if row[name] is None else f"{row[name]:.1f}")
        print(shown("\t".join(fields), keep="\t"))


if __name__ == "__main__":
    app.run(main, required=("input", "representation", "output"))
