"""Lists a hash of everything that the jobs make of the real corpora: to compare two checkouts.

A change that should not change any result gives the same list before and after it. Hashed are the
files of converted and of tensor records, the variables of a checkpoint after 20 steps, generated
MIDI and ABC, and the evaluation of titles. The list goes to stdout, progress to stderr.

    ./.venv/bin/python experiments/fingerprints/fingerprints.py --corpora=DIR --work=DIR > list.txt

Everything runs by `run.sh`, so a checkout of any version can be listed with `--checkout`.
"""

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterable

ABC = {
    "nottingham": "nottingham",
    "oneills": "oneills1850",
    "ryans": "ryansMammoth",
    "airds": "airdsAirs",
    "litten": "litten-ms",
}
GROOVE_ZIP = "groove-v1.0.0-midionly.zip"
CHECKPOINT = "checkpoints/flat-groove_4bar"
# Small enough for two cores; what is hashed does not depend on the size.
REEL_HPARAMS = "batch_size=32,enc_rnn_size=[64],dec_rnn_size=[64],z_size=16"
GROOVE_HPARAMS = "batch_size=32"

# Run by the checkout's own Python: prints a hash of each variable of the newest checkpoint.
HASH_VARIABLES = """
import hashlib, sys
import numpy as np
import tensorflow as tf
reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(sys.argv[1]))
for name in sorted(reader.get_variable_to_shape_map()):
    content = np.ascontiguousarray(reader.get_tensor(name)).tobytes()
    print(hashlib.sha256(content).hexdigest(), name)
"""


class Checkout:
    """A checkout whose jobs are run in a folder.

    Args:
      root: the checkout.
      work: the folder; what the jobs write is named relative to it, so that no result holds a path
        of this machine.
    """

    def __init__(self, root: pathlib.Path, work: pathlib.Path):
        self._root = root
        self.work = work

    def run(self, *arguments: str) -> None:
        """Runs a job; what it prints goes to stderr."""
        print("$ ./run.sh", *arguments, file=sys.stderr, flush=True)
        subprocess.run(
            [self._root / "run.sh", *arguments], cwd=self.work, check=True, stdout=sys.stderr
        )

    def variables(self, folder: str) -> str:
        """The hashes of the variables of a folder of checkpoints, a line each."""
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [str(self._root / ".venv/bin/python"), "-c", HASH_VARIABLES, folder]
        done = subprocess.run(
            command, cwd=self.work, check=True, stdout=subprocess.PIPE, text=True, env=environment
        )
        return done.stdout


def show(what: str, work: pathlib.Path, paths: Iterable[pathlib.Path]) -> None:
    """Prints the hash of each file."""
    print(f"# {what}")
    for path in sorted(paths):
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path.relative_to(work), flush=True)


def main() -> None:
    """Makes everything and prints the list."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=pathlib.Path, required=True, help="the real corpora")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="an empty folder")
    parser.add_argument(
        "--checkout", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2]
    )
    given = parser.parse_args()
    given.work.mkdir(parents=True)
    checkout = Checkout(given.checkout.resolve(), given.work.resolve())
    corpora, work = given.corpora.resolve(), checkout.work
    records(checkout, corpora)
    tensors(checkout)
    trained(checkout)
    generated(checkout, corpora)
    titles(checkout)
    print(f"finished: {work}", file=sys.stderr)


def records(checkout: Checkout, corpora: pathlib.Path) -> None:
    """Records of every corpus, and of all tunebooks together."""
    places = {name: corpora / "abc" / folder for name, folder in ABC.items()}
    for name, place in [*places.items(), ("groove", corpora / GROOVE_ZIP)]:
        checkout.run("convert", f"--corpus={name}", f"--input={place}", f"--output=records/{name}")
    inputs = [f"--input={place}" for place in places.values()]
    checkout.run("convert", "--corpus=abc", *inputs, "--output=records/together")
    for name in (*ABC, "groove", "together"):
        folder = checkout.work / "records" / name
        show(f"records of {name}", checkout.work, folder.iterdir())


def tensors(checkout: Checkout) -> None:
    """Tensors of a groove config and of a melody config."""
    for config, name in (("flat-groove_4bar", "groove"), ("flat-reel_2bar", "nottingham")):
        checkout.run(
            "tensors", f"--config={config}", f"--input=records/{name}", f"--output=tensors/{config}"
        )
        folder = checkout.work / "tensors" / config
        show(f"tensors of {config}", checkout.work, folder.iterdir())


def trained(checkout: Checkout) -> None:
    """The variables of two models after 20 steps."""
    for config, source, hparams in (
        ("flat-groove_4bar", "tensors/flat-groove_4bar", GROOVE_HPARAMS),
        ("flat-reel_2bar", "records/nottingham", REEL_HPARAMS),
    ):
        checkout.run(
            "train",
            f"--config={config}",
            f"--examples_path={source}/train.tfrecord*",
            f"--run_dir=runs/{config}",
            "--num_steps=20",
            "--seed=7",
            f"--hparams={hparams}",
        )
        print(f"# variables of {config} after 20 steps")
        print(checkout.variables(f"runs/{config}/train"), end="", flush=True)


def generated(checkout: Checkout, corpora: pathlib.Path) -> None:
    """Eight pieces: drums of the trained checkpoint, melodies of the one of 20 steps."""
    drums, reels = f"--run_dir={corpora / CHECKPOINT}", "--run_dir=runs/flat-reel_2bar"
    shared = ("--seed=3", "--output_dir=music", "--nopianoroll")
    checkout.run("generate", drums, "--mode=sample", "--num_outputs=4", *shared)
    played = sorted((checkout.work / "music").glob("*.mid"))[0]
    checkout.run("generate", drums, "--mode=reconstruct", f"--input_midi={played}", *shared)
    checkout.run("generate", reels, "--mode=sample", "--num_outputs=3", *shared)
    show("generated pieces", checkout.work, (checkout.work / "music").iterdir())
    checkout.run(
        "evaluate",
        "--run_dir=runs/flat-reel_2bar",
        "--examples_path=records/nottingham/validation.tfrecord*",
        "--eval_num_batches=2",
    )
    found = (checkout.work / "runs/flat-reel_2bar/eval").glob("*.json")
    show("evaluation of flat-reel_2bar", checkout.work, found)


def titles(checkout: Checkout) -> None:
    """The evaluation of titles."""
    checkout.run(
        "titles",
        "train",
        "--run_dir=runs/titles",
        "--text_encoder=builtin",
        "--examples_path=records/together/train.tfrecord*",
        "--num_epochs=3",
        "--seed=5",
    )
    checkout.run(
        "titles",
        "evaluate",
        "--run_dir=runs/titles",
        "--examples_path=records/together/test.tfrecord*",
    )
    print("# evaluation of titles")
    # The name of the file says where the records lay.
    [path] = (checkout.work / "runs/titles/eval").glob("test-*.json")
    print(hashlib.sha256(path.read_bytes()).hexdigest(), "runs/titles/eval/test.json")


if __name__ == "__main__":
    main()
