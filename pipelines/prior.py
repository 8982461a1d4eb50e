"""Fits the distribution of a trained model's latent vectors, to sample better from it.

A MusicVAE is trained so that the latent vectors of music resemble a standard normal distribution,
and Magenta draws samples from that. They do not fill it, so that many samples are decoded from
where no music was. Every piece of the records is encoded (at most 16 windows of each), a mixture of
normal distributions is fitted to the latent vectors, and goes to a file of numbers beside the
checkpoint, prior.safetensors. ./run.sh generate and evaluate --samples then draw from it, unless
--prior=standard is given. ./run.sh evaluate --samples says what it is worth.

Prints the path of the file, and says how much likelier the latent vectors of left-out pieces are.

Example:
  ./run.sh prior --run_dir=/data/runs/first --examples_path='/data/groove/train.tfrecord*'
"""

import os

from absl import flags

import configs
from pipelines.records import manifest
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import say
from pipelines.runtime.flags import path_flag, required_path_flag
from pipelines.runtime.terminal import print_path, shown_json
from pipelines.systems.musicvae import model_flags, pretrained, prior

FLAGS = flags.FLAGS
model_flags.define(pretrained="Instead of a run: the folder of a trained model.")
flags.DEFINE_string(
    "examples_path",
    None,
    "Glob of TFRecord files of NoteSequences, e.g. 'DIR/train.tfrecord*': those that the run was "
    "trained on.",
)
flags.DEFINE_integer(
    "components",
    32,
    "How many normal distributions are mixed, at most; where there are few windows, fewer are.",
    lower_bound=1,
    upper_bound=1000,
)
flags.DEFINE_string(
    "output", None, f"The file to write; by default {prior.FILE} beside the checkpoint."
)
flags.DEFINE_integer("batch_size", 256, "Windows encoded at once.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seeds what is drawn: the same seed gives the same file.")
flags.DEFINE_bool("json", False, "Print JSON instead of the path.")


def main() -> None:
    """Runs the job from its flags."""
    configs.require_known(FLAGS.config, path_flag("config_file"))
    # What can be wrong is found before TensorFlow is imported, which takes some ten seconds.
    device_names.read(FLAGS.devices)
    pretrained.require_from_flags()
    manifest.record_files(required_path_flag("examples_path"))
    tensorflow.start(FLAGS.log)
    from pipelines.examples import reading
    from pipelines.runtime import devices
    from pipelines.systems.musicvae import prior_fitting
    from pipelines.systems.musicvae.run import open_from_flags

    records = reading.open_note_sequences(required_path_flag("examples_path"))
    run = open_from_flags(FLAGS)
    devices.use(FLAGS.devices)
    found = prior_fitting.fit(run, records, FLAGS.components, FLAGS.batch_size, FLAGS.seed)
    path = path_flag("output") or os.path.join(os.path.dirname(run.source), prior.FILE)
    prior.write(path, found)
    gain = found.made_of["gain"]
    if gain is not None:
        say(
            f"latent vectors of left-out pieces are {gain:+.1f} nats likelier, each, than under a "
            "standard normal"
        )
        if gain <= 0:
            say("warning: the mixture is no better; try fewer --components, or more music")
    if FLAGS.json:
        components, dimensions = found.means.shape
        print(
            shown_json(
                {
                    "file": path,
                    "made_for": found.made_for,
                    "made_of": found.made_of,
                    "components": components,
                    "dimensions": dimensions,
                }
            )
        )
    else:
        print_path(path)


if __name__ == "__main__":
    app.run(main, required=["examples_path"])
