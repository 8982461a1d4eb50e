"""A trained dual tower on disk, and tunes and titles as its vectors.

A run's folder holds

    run.json        what it was trained with and on, and whether it is finished; data only
    train/          TensorFlow's checkpoints of the towers, and summaries for TensorBoard
    text_encoder/   the text encoder, if it is one that the project exports
    embeddings/     the embedding of each title (`embeddings`)
    index/          the vectors of the training titles and tunes (`index`)
"""

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from configs.titles import Hparams
from models.dual_tower import DualTower, Vocabulary
from pipelines import checkpoints, runs
from pipelines.representations import scale_degrees
from pipelines.representations.scale_degrees import METERS, MODES, NOTE_SIZES, Melody
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.titles import text_encoders
from pipelines.systems.titles.embeddings import Embeddings
from pipelines.systems.titles.text_encoders import loading, trust
from pipelines.systems.titles.tunes import Tune

KIND = "titles"
_BATCH = 256
_TITLES = 1024


def untrained(hparams: Hparams) -> DualTower:
    """A dual tower that is not trained."""
    return DualTower(
        hparams.loss,
        Vocabulary(**NOTE_SIZES, meters=METERS, modes=MODES),
        dimensions=hparams.dimensions,
        hidden=hparams.hidden,
        tune_dropout=hparams.tune_dropout,
        title_dropout=hparams.title_dropout,
    )


class Towers:
    """Tunes and titles as vectors of one space.

    Args:
      model: the dual tower.
      embeddings: gives the embeddings of titles.
    """

    def __init__(self, model: DualTower, embeddings: Embeddings):
        self._model = model
        self.embeddings = embeddings
        self._tunes = tf.function(model.tunes, reduce_retracing=True)
        self._titles = tf.function(model.titles, reduce_retracing=True)

    def tune_vectors(self, melodies: Sequence[Melody]) -> np.ndarray:
        """The vectors of melodies: float32 [melodies, dimensions], each of length one."""
        vectors = []
        with Progress("tunes encoded", len(melodies)) as progress:
            for start in range(0, len(melodies), _BATCH):
                batch = melodies[start : start + _BATCH]
                vectors.append(self._tunes(arrays(batch)).numpy())
                progress.update(start + len(batch))
        return np.concatenate(vectors)

    def title_vectors(self, texts: Sequence[str], remember: bool = True) -> np.ndarray:
        """The vectors of titles.

        Args:
          texts: `Title.text`s.
          remember: whether their embeddings are kept, in memory and in the run's folder. Those of
            a million titles are gigabytes.

        Returns:
          Float32 [texts, dimensions], each of length one.
        """
        embed = self.embeddings if remember else self.embeddings.encoder
        with Progress("titles encoded", len(texts)) as progress:
            vectors = []
            for start in range(0, len(texts), _TITLES):
                batch = texts[start : start + _TITLES]
                vectors.append(self._titles(embed(batch)))
                progress.update(start + len(batch))
        return np.concatenate(vectors)

    def scores(self, tunes: Sequence[Tune], texts: Sequence[str]) -> np.ndarray:
        """Cosines of all tunes with all texts: float32 [tunes, texts]."""
        return self.tune_vectors([tune.melody for tune in tunes]) @ self.title_vectors(texts).T

    def made_with(self) -> dict[str, str]:
        """What the vectors depend on, for an index: the text encoder and the towers' weights."""
        digest = hashlib.blake2b(digest_size=16)
        for variable in (*self._model.tunes.weights, *self._model.titles.weights):
            digest.update(np.asarray(variable, np.float32).tobytes())
        return {
            "text_encoder": self.embeddings.encoder.fingerprint,
            "towers": digest.hexdigest(),
        }


def arrays(melodies: Sequence[Melody]) -> dict[str, np.ndarray]:
    """Melodies as the tune tower takes them, padded with zeros to `scale_degrees.MAX_NOTES`."""
    notes = np.zeros((len(melodies), scale_degrees.MAX_NOTES, len(NOTE_SIZES)), np.uint8)
    for row, each in zip(notes, melodies):
        row[: len(each.notes)] = each.notes
    return {
        "notes": notes,
        "meter": np.array([each.meter for each in melodies], np.int32),
        "mode": np.array([each.mode for each in melodies], np.int32),
    }


def text_encoder_dir(run_dir: str | os.PathLike) -> str:
    """The folder of a text encoder that the project exported for a run."""
    return os.path.join(run_dir, "text_encoder")


def _is_whole(found: dict[str, Any]) -> bool:
    """Whether run.json has what training wrote; may raise as `runs.read_checked` allows."""
    Hparams(**found["hparams"])
    encoder = found["text_encoder"]
    named = all(isinstance(encoder[name], str) for name in ("name", "fingerprint"))
    return named and {"finished", "records", "examples_path"} <= found.keys()


def read_metadata(run_dir: str | os.PathLike) -> dict[str, Any]:
    """What run.json says; {} where there is none.

    Raises:
      UserError: where it is damaged or of another kind of run.
    """
    found = runs.read_checked(run_dir, KIND, _is_whole)
    if found:
        # In the order of the fields, which evaluations are written in.
        found["hparams"] = dataclasses.asdict(Hparams(**found["hparams"]))
    return found


def open_run(run_dir: str, keep_embeddings: bool = True) -> tuple[Towers, dict[str, Any]]:
    """Loads the towers of a finished run, and its text encoder.

    Args:
      run_dir: the run's folder.
      keep_embeddings: whether embeddings of titles are kept in the run's folder.

    Returns:
      The towers and what run.json says.

    Raises:
      UserError: where there is no such run, or its text encoder cannot be loaded or is another now.
    """
    runs.require(run_dir, KIND, "titles train")
    metadata = read_metadata(run_dir)
    if not metadata["finished"]:
        raise UserError(
            f"{run_dir}: its training has not ended; give the same `titles train` command again"
        )
    embeddings = open_embeddings(run_dir, metadata["text_encoder"], keep_embeddings)
    model = untrained(Hparams(**metadata["hparams"]))
    build(model, embeddings.dimensions)
    saved = checkpoints.latest(runs.train_dir(run_dir))
    if saved is None:
        raise UserError(f"{runs.train_dir(run_dir)} has no checkpoint; train in another folder")
    try:
        tf.train.Checkpoint(model=model).restore(saved).expect_partial()
    except checkpoints.DAMAGE as error:
        raise UserError(f"{saved} is damaged; train again in another folder") from error
    return Towers(model, embeddings), metadata


def open_embeddings(run_dir: str, encoder: Mapping[str, Any], keep: bool = True) -> Embeddings:
    """The text encoder of a run, and the embeddings that it has given so far.

    Args:
      run_dir: the run's folder.
      encoder: what run.json says of it.
      keep: whether embeddings are kept there.

    Raises:
      UserError: if it is not trusted, cannot be loaded, or is not the one that the run was trained
        with.
    """
    name, fingerprint = encoder["name"], encoder["fingerprint"]
    hashed = loading.is_hash(fingerprint)
    # Before anything is downloaded or loaded: what the run names is its author's choice.
    trust.require(os.fspath(run_dir), _trusted_as(run_dir, encoder))
    folder = text_encoder_dir(run_dir)
    if hashed and name in text_encoders.EXPORTED and not os.path.isdir(folder):
        # Exported once more, it would have another hash.
        raise UserError(
            f"{folder}, the text encoder of {run_dir}, is missing; restore it, or train again in "
            "another folder"
        )
    try:
        handle = text_encoders.prepare(name, folder)
        loaded = loading.load(handle, fingerprint if hashed else None)
    except loading.OtherEncoderError:
        raise UserError(
            f"{handle} is another text encoder than the one that {run_dir} was trained with; "
            "restore it, or train again in another folder"
        ) from None
    except UserError as error:
        raise UserError(
            f"the text encoder of {run_dir}, {name}, cannot be loaded; restore it, or train again "
            f"in another folder ({error})"
        ) from error
    known = encoder.get("dimensions", loaded.dimensions)
    if loaded.dimensions != known:
        raise UserError(
            f"{handle} gives vectors of {loaded.dimensions} numbers and {run_dir} was trained with "
            f"{known}; restore its text encoder, or train again in another folder"
        )
    if not hashed:
        say(
            f"{run_dir} was trained by an earlier version, which kept no hash of its text encoder: "
            f"{handle} is used, and cannot be checked"
        )
        # Embeddings and indexes of the run have the fingerprint that was known then.
        loaded.fingerprint = fingerprint
    return Embeddings(loaded, os.path.join(run_dir, "embeddings") if keep else None)


def trust_run(run_dir: str) -> None:
    """Lets the text encoder of a run be loaded from now on, wherever the run comes from.

    Raises:
      UserError: where run.json is damaged, or the decision cannot be kept.
    """
    if metadata := read_metadata(run_dir):
        trust.trust(_trusted_as(run_dir, metadata["text_encoder"]))


def _trusted_as(run_dir: str | os.PathLike, encoder: Mapping[str, Any]) -> str:
    """What stands for the encoder of a run where it is kept which ones are trusted.

    It is the hash that run.json names. Where a run of an earlier version names none, it is the hash
    of the files that are there or, of what is still to be downloaded, the address.
    """
    name, fingerprint = encoder["name"], encoder["fingerprint"]
    if loading.is_hash(fingerprint):
        return fingerprint
    if "://" in name:
        return name
    exported = name in text_encoders.EXPORTED
    return loading.fingerprint(text_encoder_dir(run_dir) if exported else os.path.expanduser(name))


def build(model: DualTower, embedding_size: int) -> None:
    """Makes the variables of a dual tower."""
    pair = arrays([Melody(np.ones((1, len(NOTE_SIZES)), np.uint8), 0, 0, 0)])
    pair["title"] = np.zeros((1, embedding_size), np.float32)
    pair["same"] = np.ones((1, 1), bool)
    model(pair)
