"""Finds how a trained model's music changes with its attributes, to edit pieces by them.

Every window of the records is encoded and decoded; for each attribute directions in latent space
are found along which what is decoded changes: the difference of the means of the windows with most
and least of it, that of a linear probe, and one that leaves the other attributes alone. They go to
a file of JSON beside the checkpoint, which ./run.sh generate --mode=edit reads. Prints a line an
attribute: its name, its mean and standard deviation over the windows, and how well the probe
predicts it in pieces that it was not fitted to (R2, or for a label the area under the ROC curve,
AUC).

An attribute is measured, such as density, syncopation, swing, velocity_mean, velocity_range or
hihat_open of drums and density or pitch_range of melodies; or it is a label of the records, such as
style:jazz, drummer:drummer1, beat_type:fill or mode:minor.

Example:
  ./run.sh attributes --run_dir=/data/runs/first --examples_path='/data/groove/train.tfrecord*' \\
      --attributes=density,syncopation,swing,velocity_mean,hihat_open,style:jazz,style:rock
"""

import os

from absl import flags

import configs
from pipelines.exported import folders
from pipelines.records import manifest
from pipelines.runtime import app, device_names, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, required_path_flag
from pipelines.runtime.terminal import shown, shown_json
from pipelines.systems.musicvae import directions, model_flags, pretrained

FLAGS = flags.FLAGS
model_flags.define(
    pretrained="Instead of a run: a model that comes with the project (./run.sh pretrained lists "
    "them), or the folder of one."
)
flags.DEFINE_string(
    "examples_path",
    None,
    "Glob of TFRecord files of NoteSequences, e.g. 'DIR/train.tfrecord*'.",
)
flags.DEFINE_list(
    "attributes",
    [],
    "Their names, joined by commas; by default all that are measured.",
)
flags.DEFINE_string(
    "output",
    None,
    "The file to write; by default attributes.json beside the checkpoint. For a model that comes "
    "with the project it must be given: generate takes it as --attributes_file.",
)
flags.DEFINE_integer("batch_size", 256, "Windows encoded at once.", lower_bound=1)
flags.DEFINE_bool("json", False, "Print JSON instead of lines.")


def _require_output() -> None:
    """Raises UserError where the file would be written among those that come with the project."""
    name = path_flag("pretrained")
    if name and not path_flag("output") and folders.find(name).resolve().parent == folders.BOX:
        raise UserError(
            f"{name} comes with the project, where nothing is written over; name the file to "
            "write with --output, and give it to ./run.sh generate as --attributes_file"
        )


def main() -> None:
    """Runs the job from its flags."""
    configs.require_known(FLAGS.config, path_flag("config_file"))
    # What can be wrong is found before TensorFlow is imported, which takes some ten seconds.
    device_names.read(FLAGS.devices)
    pretrained.require_from_flags()
    _require_output()
    manifest.record_files(required_path_flag("examples_path"))
    tensorflow.start(FLAGS.log)
    from pipelines.examples import reading
    from pipelines.runtime import devices
    from pipelines.systems.musicvae import attributes
    from pipelines.systems.musicvae.run import open_from_flags

    records = reading.open_note_sequences(required_path_flag("examples_path"))
    run = open_from_flags(FLAGS)
    devices.use(FLAGS.devices)
    names = [name.strip() for name in FLAGS.attributes if name.strip()]
    found = attributes.find(run, records, names, FLAGS.batch_size)
    folder = os.path.dirname(run.source)
    path = path_flag("output") or os.path.join(folder, directions.FILE)
    directions.write(path, found)
    if FLAGS.json:
        print(shown_json({"file": path, **directions.summary(found)}))
    else:
        for line in directions.table(found):
            print(shown(line))
    say(f"written to {path}")


if __name__ == "__main__":
    app.run(main, required=["examples_path"])
