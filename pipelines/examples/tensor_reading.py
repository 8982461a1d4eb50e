"""Records of tensors to training batches, without Python and without the corpus in memory."""

import os
import secrets

import tensorflow as tf

from pipelines.examples import fingerprint
from pipelines.records.manifest import count_in, read_manifest, record_files, require_whole
from pipelines.representations.encodings import Codec
from pipelines.runtime.app import UserError, say

# Records lie in the shards in the order of a hash, so neighbours are of different pieces already;
# the buffer makes each epoch's order another. 16,384 four-bar windows of drums are 12 MB.
_SHUFFLE_RECORDS = 16_384
_SHUFFLE_BYTES = 64 << 20
_OPEN_FILES = 16


def require_fit(config_name: str, config, examples_path: str) -> None:
    """Raises UserError where tensors are of a config that converts otherwise than `config`.

    Says what training from tensors goes without.

    Args:
      config_name: the config's name.
      config: the config, with its hparams.
      examples_path: a glob of records of tensors.
    """
    wanted = fingerprint.describe(config)
    for folder, manifest in _manifests(record_files(examples_path)).items():
        difference = fingerprint.difference(manifest, wanted)
        if difference:
            raise UserError(
                f"{folder}: holds tensors of {manifest.get('config')}, which {config_name} cannot "
                f"train on: {difference}; make tensors for it with ./run.sh tensors "
                f"--config={config_name}, with the same --hparams"
            )
    for line in fingerprint.left_out(config):
        say(f"{config_name}: {line}")


def count(examples_path: str) -> int:
    """How many examples there are, by the manifests and the names and sizes of the files.

    Raises:
      UserError: for a file that is missing, cut short, or not the manifest's.
    """
    paths = record_files(examples_path)
    require_whole(examples_path)
    manifests = _manifests(paths)
    return sum(count_in(path, manifests[_folder(path)]) for path in paths)


def training_dataset(
    config, examples_path: str, seed: int | None = None, worker: int = 0, num_workers: int = 1
) -> tf.data.Dataset:
    """An endless, shuffled, batched dataset of one config's examples.

    Whole batches of records are decoded at once, and what the config draws (transpositions, dropped
    notes) is drawn afresh for each. With a seed, the batches are the same again, however many
    threads there are.

    Args:
      config: a Magenta Config that `require_fit` took.
      examples_path: a glob of records of tensors.
      seed: of the order and what is drawn; drawn afresh where it is None.
      worker: which worker's share to read, from 0.
      num_workers: how many workers there are; each example is in the share of one.

    Returns:
      Batches of (inputs, outputs, controls, lengths), shaped [batch_size, steps, depth] and
      [batch_size] or [batch_size, segments].
    """
    if seed is None:
        seed = secrets.randbits(31)
    paths = record_files(examples_path)
    manifests = _manifests(paths)
    numbers = [count_in(path, manifests[_folder(path)]) for path in paths]
    steps = None
    if all(manifest["full_length"] == manifest["examples"] for manifest in manifests.values()):
        steps = config.hparams.max_seq_len

    def read(number, path):
        # By records, so that shares are even; another worker begins in each file.
        return tf.data.TFRecordDataset(path).shard(num_workers, (number + worker) % num_workers)

    files = tf.data.Dataset.from_tensor_slices(paths).enumerate()
    dataset = files.shuffle(len(paths), seed=seed).interleave(
        read, cycle_length=min(len(paths), _OPEN_FILES), num_parallel_calls=tf.data.AUTOTUNE
    )
    mean_bytes = sum(map(os.path.getsize, paths)) / max(sum(numbers), 1)
    buffer = min(_SHUFFLE_RECORDS, max(1, int(_SHUFFLE_BYTES / max(mean_bytes, 1))))
    dataset = dataset.shuffle(buffer, seed=seed).repeat()
    dataset = dataset.batch(config.hparams.batch_size, drop_remainder=True)
    codec = Codec(config.data_converter)

    def decode(number, batch):
        drawn_from = tf.stack([tf.constant(seed, tf.int64), number * num_workers + worker])
        return codec.decode(batch, drawn_from, steps)

    dataset = dataset.enumerate().map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.deterministic = True
    return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)


def _folder(path: str) -> str:
    return os.path.dirname(path) or "."


def _manifests(paths: list[str]) -> dict[str, dict]:
    """The manifests of the folders that files are in."""
    return {folder: read_manifest(folder) for folder in sorted(set(map(_folder, paths)))}
