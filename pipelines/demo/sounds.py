"""Runs the chain of `style` on music that the project makes itself, offline, in under five minutes.

Grooves are rendered with two drum kits, so that the true target of each transfer is known, and a
tune with a fiddle. A song of both is separated again; methods and a network of a few steps turn the
one kit into the other, and are measured.

Example:
  ./run.sh style demo
  ./run.sh style demo --output=/tmp/style-demo --num_steps=300

Each step is one of the commands that you would give yourself, and is shown before it runs. A demo
that was stopped goes on where it was.
"""

import os
import pathlib

import numpy as np
from absl import flags

from pipelines.audio import files, reading, separation
from pipelines.demo import grooves, tunes
from pipelines.demo.steps import job, title
from pipelines.runtime import app
from pipelines.runtime.flags import required_path_flag
from pipelines.runtime.terminal import print_path

FLAGS = flags.FLAGS
flags.DEFINE_string("output", "reelgroove-style-demo", "Where everything goes.")
flags.DEFINE_integer("num_steps", 30, "Training steps of the network.", lower_bound=1)

_RATE = 16_000
_KITS = ("TimGM6mb:Standard", "TimGM6mb:TR 808")
_FIDDLE = "TimGM6mb:Fiddle"
_BEATS, _FILLS = 60, 10
_SONG_SECONDS = 10.0
_HPARAMS = "width=32,critic_width=32,vector=16,batch_size=8,minutes=5"


def demo(output: str, num_steps: int) -> None:
    """Renders, separates, trains, converts and measures, in a folder."""
    root = pathlib.Path(output)
    pairs, melodies = root / "pairs", root / "melodies"
    title("drum grooves with two kits, and tunes with a fiddle")
    _corpora(root)
    if not pairs.is_dir():
        # Two sounds make pairs; the flag is given twice.
        sounds = [f"--sound={kit}" for kit in _KITS]
        job("style", "render", *sounds, input=root / "grooves" / "records", output=pairs)
    if not melodies.is_dir():
        records = root / "tunes" / "records"
        job("style", "render", sound=_FIDDLE, max_performances=4, input=records, output=melodies)

    title("a song of both, and its drums and the rest again")
    song, truth = root / "song.wav", _song(root, pairs, melodies)
    found = {}
    for method in ("hpss", "net"):
        folder = root / f"separated-{method}"
        if not folder.is_dir():
            job("style", "separate", method=method, input=song, output=folder)
        drums = folder / ("drums.wav" if method == "net" else "percussive.wav")
        samples = reading.read(drums, _RATE, _SONG_SECONDS + 1)
        found[method] = separation.si_sdr(samples[: len(truth)], truth)

    title(f"a small MelGAN-VC, {num_steps} steps")
    run, source, target = root / "run", pairs / "source", pairs / "target"
    job(
        "style",
        "train",
        model="melganvc",
        source=source,
        target=target,
        num_steps=num_steps,
        hparams=_HPARAMS,
        run_dir=run,
    )

    title("a groove of the first kit with the sound of the second, by nearest frames")
    [groove] = sorted((source / "test").iterdir())[:1]
    converted = root / "converted"
    if not converted.is_dir():
        job(
            "style",
            "convert",
            method="knn",
            source=source,
            target=target,
            input=groove,
            output=converted,
        )

    title("how near all of them come to the true target")
    job("style", "evaluate", pairs=pairs, run_dir=run, num_clips=6, seconds=3)
    print(f"""
the drums of the song, in dB of signal to distortion (SI-SDR):
{found["hpss"]:5.1f} by hpss
{found["net"]:5.1f} by net

So few steps teach a network nothing: give --num_steps=3000, or see docs/style.md.
To listen: the song, its parts, and the groove before, after and as it should be""")
    for path in (song, *(root / f"separated-{method}" for method in found), groove, converted):
        print_path(os.path.abspath(path))
    print_path(os.path.abspath(target / "test" / groove.name))


def _corpora(root: pathlib.Path) -> None:
    """Makes the corpora and their records."""
    for name, corpus in (("grooves", "groove"), ("tunes", "abc")):
        folder = root / name / "corpus"
        if not folder.is_dir():
            if name == "grooves":
                grooves.write_corpus(folder, num_beats=_BEATS, num_fills=_FILLS)
            else:
                tunes.write_corpus(folder)
        records = root / name / "records"
        job("convert", corpus=corpus, input=folder, output=records, overwrite=None)


def _song(root: pathlib.Path, pairs: pathlib.Path, melodies: pathlib.Path) -> np.ndarray:
    """Writes a song of drums and a tune; returns the drums in it."""
    parts = []
    for folder in (pairs / "source" / "test", melodies / "test"):
        [path] = sorted(folder.iterdir())[:1]
        samples = reading.read(path, _RATE, np.inf, 0, _SONG_SECONDS)
        samples = np.pad(samples, (0, round(_SONG_SECONDS * _RATE) - len(samples)))
        parts.append(0.3 * samples / np.abs(samples).max())
    files.write(root / "song.wav", np.sum(parts, axis=0), _RATE, channels=1)
    return parts[0]


def main() -> None:
    """Runs the demo in the folder that --output names."""
    demo(required_path_flag("output"), FLAGS.num_steps)


if __name__ == "__main__":
    app.run(main)
