"""A small corpus, its records and a briefly trained run, for the tests that need a model."""

import pathlib

from configs import ConfigRef
from pipelines.corpora import conversion
from pipelines.demo import grooves
from pipelines.examples import reading
from pipelines.systems.musicvae import exporting, training
from pipelines.systems.musicvae.run import open_run

# Small enough to build and train in seconds.
TINY = "batch_size=8,enc_rnn_size=[8],dec_rnn_size=[8,8],z_size=4,learning_rate=0.01"


def make_records(folder: pathlib.Path) -> pathlib.Path:
    """Converts the built-in corpus; returns the folder of the records."""
    grooves.write_corpus(folder / "corpus")
    conversion.convert("groove", str(folder / "corpus"), str(folder / "records"), num_shards=2)
    return folder / "records"


def train_run(
    records: pathlib.Path,
    run_dir: pathlib.Path,
    config: str = "flat-groove_4bar",
    num_steps: int = 3,
    hparams: str = TINY,
    **options,
) -> int:
    """Trains a tiny model; `options` are fields of `training.Options`. Returns the steps taken."""
    ref = ConfigRef(config, hparams=hparams)
    how = training.Options(**{"seed": 1, **options})

    def open_examples(config):
        return reading.open_examples(f"{records}/train.tfrecord*")

    return training.train(ref, str(run_dir), open_examples, num_steps, how)


def make_model(run_dir: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Exports a run as a model of `pretrained`; returns its folder."""
    return exporting.export(open_run(str(run_dir)), folder)
