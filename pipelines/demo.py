"""Runs the whole chain on drum grooves that the project makes itself, without a network.

Example:
  ./run.sh demo
  ./run.sh demo --output=/tmp/demo

Each step is one of the commands that you would give yourself, and is shown before it runs. All of
it is seeded; a demo that was stopped goes on where it was.
"""

import glob
import json
import os
import shlex
import subprocess
import sys

from absl import flags

from pipelines import app
from pipelines.app import UserError, say
from pipelines.builtin import grooves

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "reelgroove-demo", "Where everything goes.")
flags.DEFINE_integer("num_steps", 500, "Training steps.", lower_bound=1)

_CONFIG = "flat-groove_4bar"
# With GrooVAE's sizes two cores need a quarter of an hour to show something. This model has a
# quarter of the weights, no dropout and a faster start.
_HPARAMS = (
    "batch_size=32,enc_rnn_size=[256],dec_rnn_size=[256],z_size=64,"
    "dropout_keep_prob=1.0,learning_rate=0.002"
)


def demo(output: str, num_steps: int) -> None:
    """Makes a corpus, then converts, trains, evaluates and generates in the folder `output`."""
    place = {name: os.path.join(output, name) for name in ("corpus", "records", "run", "music")}
    _title("a corpus of drum grooves, in the layout of the Groove MIDI Dataset")
    if not os.path.isdir(place["corpus"]):
        grooves.write_corpus(place["corpus"])
    print(place["corpus"])

    _title("MIDI files to NoteSequence TFRecords")
    _job("convert", corpus="groove", input=place["corpus"], output=place["records"], overwrite=None)
    train, held_out = (
        os.path.join(place["records"], f"{split}.tfrecord*") for split in ("train", "validation")
    )

    _title(f"a small MusicVAE, {num_steps} steps")
    _job(
        "train",
        config=_CONFIG,
        examples_path=train,
        run_dir=place["run"],
        num_steps=num_steps,
        hparams=_HPARAMS,
        seed=0,
    )

    _title("how near it comes to held-out grooves, beside the commonest bar of the training ones")
    measured = _measure(run_dir=place["run"], examples_path=held_out)
    baseline = _measure(
        run_dir=place["run"],
        examples_path=held_out,
        baseline="most_frequent_bar",
        baseline_examples_path=train,
    )

    _title("new music")
    first, second = sorted(glob.glob(os.path.join(place["corpus"], "*", "*", "*_beat_4-4.mid")))[:2]
    shared = dict(run_dir=place["run"], output_dir=place["music"], seed=1, overwrite=None)
    _job("generate", mode="sample", num_outputs=4, **shared)
    _job("generate", mode="reconstruct", input_midi=first, **shared)
    _job("generate", mode="interpolate", input_midi_1=first, input_midi_2=second, **shared)

    _title("done")
    print(f"""\
hit F1 on held-out grooves: {measured["sampled"]["f1"]:.3f} decoded from z, sampled
                            {measured["thresholded"]["f1"]:.3f} decoded from z, thresholded
                            {baseline["constant"]["f1"]:.3f} the commonest bar
music, MIDI and piano rolls:  {place["music"]}
checkpoints and metrics:      {place["run"]}
NoteSequence TFRecords:       {place["records"]}
the corpus:                   {place["corpus"]}

What to try next:
  ./run.sh tensorboard {shlex.quote(place["run"])}
  ./run.sh train ... --num_steps=3000     the same command as above: the run goes on
  ./run.sh configs                        the other models
  the Groove MIDI Dataset itself: see "On real data" in README.md""")


def _title(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _command(job: str, arguments: dict) -> list[str]:
    return [job] + [
        f"--{name}" if value is None else f"--{name}={value}" for name, value in arguments.items()
    ]


def _job(job: str, capture: bool = False, **arguments) -> str:
    """Runs a job as `./run.sh` does, having shown its command; returns stdout if captured."""
    command = _command(job, arguments)
    print(f"$ ./run.sh {shlex.join(command)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", f"pipelines.{job}", *command[1:]],
        stdout=subprocess.PIPE if capture else None,
        text=True,
    )
    if done.returncode:
        raise UserError(
            f"{job} failed; the lines above say why. To start afresh, remove the demo's folder"
        )
    return done.stdout or ""


def _measure(**arguments) -> dict:
    return json.loads(_job("evaluate", capture=True, **arguments))


def main():
    output = app.path("output")
    demo(output, FLAGS.num_steps)
    say(f"see {os.path.join(output, 'music')}")


if __name__ == "__main__":
    app.run(main)
