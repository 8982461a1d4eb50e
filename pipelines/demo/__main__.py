"""Plays a trained model, then runs the whole chain on music that the project makes itself, offline.

That music is drum grooves and dance tunes; the trained model is one of four bars of drums.

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
import tempfile
import time
from typing import Any

from absl import flags

from pipelines.demo import grooves, tunes
from pipelines.demo.steps import job, title
from pipelines.runtime import app
from pipelines.runtime.flags import required_path_flag
from pipelines.runtime.terminal import print_path

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "reelgroove-demo", "Where everything goes.")
flags.DEFINE_integer("num_steps", 500, "Training steps of the drum model.", lower_bound=1)
flags.DEFINE_integer("num_tune_steps", 700, "Training steps of the tune model.", lower_bound=1)

# At GrooVAE's size, training takes a quarter of an hour on two cores until there is something to
# hear. These models have at most a quarter of the weights, no dropout and higher learning rates.
_GROOVES = "flat-groove_4bar"
_GROOVE_HPARAMS = (
    "batch_size=32,enc_rnn_size=[256],dec_rnn_size=[256],z_size=64,"
    "dropout_keep_prob=1.0,learning_rate=0.002"
)
_TUNES = "flat-reel_2bar"
_TUNE_HPARAMS = (
    "batch_size=64,enc_rnn_size=[128],dec_rnn_size=[128],z_size=32,"
    # Samples need a posterior that is near the prior within a few hundred steps.
    "max_beta=0.04,beta_rate=0.99,learning_rate=0.008"
)


# Models of models/pretrained.
_PRETRAINED, _PRETRAINED_TUNES = "groove_4bar", "tunes"
_TITLE_EPOCHS = 30
_IDEAS = 200


def demo(output: str, num_steps: int, num_tune_steps: int) -> None:
    """Plays a trained model; makes two corpora, and converts, trains, evaluates and plays each."""
    started = time.monotonic()
    trained = os.path.join(output, "first")
    first = _first(trained)
    drums = _drums(_places(output, "grooves"), num_steps)
    reels = _reels(_places(output, "tunes"), num_tune_steps)
    title(f"done, in {time.monotonic() - started:.0f} s")
    print(f"{first}\n\n{drums}\n\n{reels}")
    print(f"""
What to try next:
  ./run.sh tensorboard {shlex.quote(output)}     curves, pictures and sound of the training
  ./run.sh train ... --num_steps=3000     the same command as above: the run goes on
  ./run.sh configs                        the other models
  the Groove MIDI Dataset and tunebooks: see "On real data" in README.md

To listen, open these pages in a browser, the trained models' last:""")
    reels_at, drums_at = _places(output, "tunes"), _places(output, "grooves")
    for folder in (reels_at["music"], drums_at["music"], trained, reels_at["whole"]):
        print_path(os.path.abspath(os.path.join(folder, "index.html")))


def _places(output: str, kind: str) -> dict[str, str]:
    """The folders of a chain: the corpus, the records, the runs and the music."""
    names = ("corpus", "records", "run", "music", "titles", "whole")
    return {name: os.path.join(output, kind, name) for name in names}


def _first(folder: str) -> str:
    """Plays the model that comes with the project; returns what came of it."""
    title("new drums, from a trained model that comes with the project")
    job(
        "generate",
        pretrained=_PRETRAINED,
        mode="sample",
        num_outputs=4,
        temperature=1.0,
        output_dir=folder,
        seed=1,
        overwrite=None,
    )
    return f"drums from the trained model:      {folder}"


def _drums(place: dict[str, str], num_steps: int) -> str:
    """The chain on drum grooves; returns what came of it."""
    title("a corpus of drum grooves, in the layout of the Groove MIDI Dataset")
    if not os.path.isdir(place["corpus"]):
        grooves.write_corpus(place["corpus"])
    print(place["corpus"])

    title("MIDI files to NoteSequence TFRecords")
    _convert("groove", place)
    title(f"a small MusicVAE of drums, {num_steps} steps")
    _train(_GROOVES, _GROOVE_HPARAMS, place, num_steps)

    title("how near it comes to held-out grooves, beside the commonest bar of the training ones")
    measured, baseline = _measure(place)

    title("a groove as the model plays it, the way from one to another, and new ones")
    beats = os.path.join(glob.escape(place["corpus"]), "*", "*", "*_beat_4-4.mid")
    first, second = sorted(glob.glob(beats))[:2]
    shared: dict[str, Any] = dict(
        run_dir=place["run"], output_dir=place["music"], seed=1, overwrite=None
    )
    # The best comes first: samples need the most training.
    job("generate", mode="reconstruct", input_midi=first, **shared)
    job("generate", mode="interpolate", input_midi_1=first, input_midi_2=second, **shared)
    job("generate", mode="sample", num_outputs=4, **shared)
    return f"""\
hit F1 on held-out grooves: {measured["sampled"]["f1"]:.3f} decoded from z, sampled
                            {measured["thresholded"]["f1"]:.3f} decoded from z, thresholded
                            {baseline["constant"]["f1"]:.3f} the commonest bar
music: MIDI, MP3 and piano rolls:  {place["music"]}
{_where(place)}
the corpus:                        {place["corpus"]}"""


def _reels(place: dict[str, str], num_steps: int) -> str:
    """The chain on dance tunes; returns what came of it."""
    title("tunebooks of reels, jigs and other dances in ABC notation")
    if not os.path.isdir(place["corpus"]):
        tunes.write_corpus(place["corpus"])
    for path in sorted(glob.glob(os.path.join(glob.escape(place["corpus"]), "*"))):
        print(path)

    title("ABC notation to NoteSequence TFRecords")
    _convert("abc", place)
    title(f"a small MusicVAE of two bars of a reel, {num_steps} steps")
    _train(_TUNES, _TUNE_HPARAMS, place, num_steps)

    title("how near it comes to held-out reels, beside the commonest bar of the training ones")
    measured, baseline = _measure(place)

    title("new bars of reels, with their notation")
    job(
        "generate",
        mode="sample",
        num_outputs=4,
        run_dir=place["run"],
        output_dir=place["music"],
        seed=1,
        overwrite=None,
    )
    found = sorted(glob.glob(os.path.join(glob.escape(place["music"]), "*.abc")))
    with open(found[0], encoding="utf-8") as file:
        print(f"\n{file.read().strip()}")
    ideas = os.path.join(os.path.dirname(place["music"]), "ideas.txt")
    tunes.write_titles(ideas, _IDEAS)
    named = _named(place, ideas)
    whole = _whole(place, ideas)
    right = {
        name: metrics["onset_accuracy"]
        for name, metrics in {**measured, **baseline}.items()
        if name in ("sampled", "likeliest", "constant")
    }
    return f"""\
notes of held-out reels that come back at their step with their pitch:
                            {right["sampled"]:.3f} decoded from z, sampled
                            {right["likeliest"]:.3f} decoded from z, the likeliest events
                            {right["constant"]:.3f} the commonest bar
titles that fit the new bars:
{named}
music: MIDI, MP3, ABC, pictures:   {place["music"]}
a whole jig: {whole:21} {place["whole"]}
{_where(place)}
which titles fit which tunes:      {place["titles"]}
the tunebooks:                     {place["corpus"]}"""


def _named(place: dict[str, str], ideas: str) -> str:
    """Learns which titles fit which tunes, and finds one for each of the new ones."""
    title(f"which titles fit which tunes, {_TITLE_EPOCHS} epochs")
    job(
        "titles",
        "train",
        run_dir=place["titles"],
        examples_path=_records(place, "train"),
        validation_path=_records(place, "validation"),
        text_encoder="builtin",
        num_epochs=_TITLE_EPOCHS,
        batch_size=64,
    )

    title("titles for the new bars, from a list of ideas; those of known tunes are marked")
    pieces = sorted(glob.glob(os.path.join(glob.escape(place["music"]), "*.mid")))
    with tempfile.NamedTemporaryFile() as file:
        shared = dict(run_dir=place["titles"], titles=ideas, top_k=3)
        # After few steps a model may write less than a melody.
        job("titles", "match", *pieces, stdout=file.name, needed=False, **shared)
        with open(file.name, encoding="utf-8") as printed:
            lines = printed.read().splitlines()
    print("\n".join(lines))
    best = [line.split("\t") for line in lines if line.startswith("1\t")]
    named = [f"{'':28}{title} ({score}, {status})" for _, score, status, title in best]
    return "\n".join(named) or f"{'':28}none: no piece has a melody"


def _whole(place: dict[str, str], ideas: str) -> str:
    """Writes a whole tune with a trained model, and names it; returns where it is."""
    title("a whole tune of a form that is asked for, and its title, from another trained model")
    job(
        "generate",
        pretrained=_PRETRAINED_TUNES,
        rhythm="jig",
        tonic="D",
        key_mode="dorian",
        form="AABB",
        num_outputs=1,
        with_title=place["titles"],
        titles=ideas,
        output_dir=place["whole"],
        seed=1,
        overwrite=None,
    )
    (path,) = glob.glob(os.path.join(glob.escape(place["whole"]), "*.abc"))
    with open(path, encoding="utf-8") as file:
        text = file.read().strip()
    print(f"\n{text}")
    return text.partition("T:")[2].partition("\n")[0]


def _where(place: dict[str, str]) -> str:
    return f"""\
checkpoints and metrics:           {place["run"]}
NoteSequence TFRecords:            {place["records"]}"""


def _convert(corpus: str, place: dict[str, str]) -> None:
    job("convert", corpus=corpus, input=place["corpus"], output=place["records"], overwrite=None)


def _train(config: str, hparams: str, place: dict[str, str], num_steps: int) -> None:
    job(
        "train",
        config=config,
        examples_path=_records(place, "train"),
        validation_path=_records(place, "validation"),
        run_dir=place["run"],
        num_steps=num_steps,
        hparams=hparams,
        seed=0,
    )


def _measure(place: dict[str, str]) -> tuple[dict, dict]:
    """Evaluates the model and a baseline on the validation split."""
    train = _records(place, "train")
    baseline = dict(baseline="most_frequent_bar", baseline_examples_path=train)
    shared = dict(run_dir=place["run"], examples_path=_records(place, "validation"))
    with tempfile.NamedTemporaryFile() as file:
        measured = []
        for flags_given in (shared, {**shared, **baseline}):
            job("evaluate", stdout=file.name, needed=True, **flags_given)
            with open(file.name, encoding="utf-8") as printed:
                measured.append(json.load(printed))
    return measured[0], measured[1]


def _records(place: dict[str, str], split: str) -> str:
    return os.path.join(place["records"], f"{split}.tfrecord*")


def main() -> None:
    """Runs the demo in the folder that --output names."""
    output = required_path_flag("output")
    demo(output, FLAGS.num_steps, FLAGS.num_tune_steps)


if __name__ == "__main__":
    app.run(main)
