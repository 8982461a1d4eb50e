"""Reads records of tensors as training batches, without Python or the corpus in memory."""

import os
import secrets

import tensorflow as tf

from pipelines import representations
from pipelines.examples import fingerprint
from pipelines.examples.base import Counts, Draw, Examples
from pipelines.records.manifest import count_in, read_manifest, require_whole
from pipelines.representations.codec import Codec
from pipelines.runtime.app import UserError, say

# Records lie in the shards in the order of a hash, so neighbours are of different pieces already;
# the buffer gives each epoch another order. 16,384 four-bar windows of drums are 12 MB.
_SHUFFLE_RECORDS = 16_384
_SHUFFLE_BYTES = 64 << 20
_OPEN_FILES = 16


class Tensors(Examples):
    """Records of tensors, made for one config by `./run.sh tensors`.

    Raises:
      UserError: for a folder without a manifest.
    """

    def __init__(self, source: str, paths: list[str]):
        super().__init__(source, paths)
        self._manifests = {
            folder: read_manifest(folder) for folder in sorted(set(map(_folder, paths)))
        }

    def require_fit(self, name: str, config) -> None:
        """Raises UserError where the tensors are of a config that converts differently.

        Tells the user what training from tensors lacks.
        """
        wanted = fingerprint.describe(config)
        for folder, manifest in self._manifests.items():
            difference = fingerprint.difference(manifest, wanted)
            if difference:
                raise UserError(
                    f"{folder}: holds tensors of {manifest.get('config')}, which {name} cannot "
                    f"train on: {difference}; make tensors for it with ./run.sh tensors "
                    f"--config={name}, with the same --hparams"
                )
        for line in fingerprint.left_out(config):
            say(f"{name}: {line}")

    def count(self, config=None) -> Counts:
        """Counts the examples by the manifests and the files' names and sizes; reads no file.

        Raises:
          UserError: for a file that is missing, cut short, or not the manifest's.
        """
        require_whole(self.source)
        number = sum(self._numbers())
        return Counts(records=number, used=number, examples=number)

    def _numbers(self) -> list[int]:
        """How many examples each file has."""
        return [count_in(path, self._manifests[_folder(path)]) for path in self.paths]

    def training_dataset(self, config, draw: Draw) -> tf.data.Dataset:
        """Makes an endless, shuffled, batched dataset of a config's examples.

        Whole batches of records are decoded at once, and what the config draws (transpositions,
        dropped notes) is drawn afresh for each. With a seed, every run gives the same
        batches, however many threads there are. Each example is in the share of one worker.
        `draw.cache` changes nothing: tensors are converted already.

        Args:
          config: a Magenta Config that `require_fit` took.
          draw: how they are drawn.
        """
        seed = secrets.randbits(31) if draw.seed is None else draw.seed
        steps = None
        if all(made["full_length"] == made["examples"] for made in self._manifests.values()):
            steps = config.hparams.max_seq_len

        def read(number, path):
            # Sharded by record, so that shares are even; in each file another worker begins.
            shard = (number + draw.worker) % draw.num_workers
            return tf.data.TFRecordDataset(path).shard(draw.num_workers, shard)

        files = tf.data.Dataset.from_tensor_slices(self.paths).enumerate()
        dataset = files.shuffle(len(self.paths), seed=seed).interleave(
            read,
            cycle_length=min(len(self.paths), _OPEN_FILES),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        dataset = dataset.shuffle(self._shuffle_buffer(), seed=seed).repeat()
        dataset = dataset.batch(config.hparams.batch_size, drop_remainder=True)
        codec = Codec(representations.of(config.data_converter))

        def decode(number, batch):
            drawn_from = tf.stack(
                [tf.constant(seed, tf.int64), number * draw.num_workers + draw.worker]
            )
            return codec.decode(batch, drawn_from, steps)

        dataset = dataset.enumerate().skip(draw.taken)
        dataset = dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        options = tf.data.Options()
        options.deterministic = True
        return dataset.with_options(options).prefetch(tf.data.AUTOTUNE)

    def _shuffle_buffer(self) -> int:
        """The number of records to shuffle among, which is bounded in bytes, too."""
        mean_bytes = sum(map(os.path.getsize, self.paths)) / max(sum(self._numbers()), 1)
        return min(_SHUFFLE_RECORDS, max(1, int(_SHUFFLE_BYTES / max(mean_bytes, 1))))


def _folder(path: str) -> str:
    return os.path.dirname(path) or "."
