"""Files and folders of records made for tests, and the batches that a dataset gives."""

import tensorflow.compat.v1 as tf

from pipelines.examples import reading
from pipelines.examples.base import Draw
from pipelines.records.folder import Folder
from pipelines.records.parts import Part


def write(path, records) -> str:
    """Writes messages or bytes into a TFRecord file, and makes its folder; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record if isinstance(record, bytes) else record.SerializeToString())
    return str(path)


def finish(path, pieces, percent=(80, 10, 10), num_shards=2):
    """Writes a folder of NoteSequence records as `convert` leaves it.

    Args:
      pieces: {id: (split or None, NoteSequence or bytes)}; None splits by percentage.

    Returns:
      The path of the folder.
    """
    with Folder(path) as folder:
        with Part(folder.parts, "one") as part:
            for name, (split, piece) in pieces.items():
                if not isinstance(piece, bytes):
                    piece.id = name
                    piece = piece.SerializeToString()
                part.add(split, name, piece, (f"melody:{name}",), f"Tune {name}")
            part.reject("x.abc:1", "no_notes", "none")
        folder.finish("notesequence", "mine", num_shards, 0, {}, percent)
    return str(path)


def run_dataset(make, n):
    """Builds a dataset in a graph of its own and returns its first n batches."""
    tf.disable_v2_behavior()
    with tf.Graph().as_default():
        batch = tf.data.make_one_shot_iterator(make()).get_next()
        with tf.Session() as session:
            return [session.run(batch) for _ in range(n)]


def training_dataset(config, pattern, **draw) -> tf.data.Dataset:
    """The training dataset of records; `draw` has the fields of `Draw`."""
    return reading.open_examples(pattern).training_dataset(config, Draw(**draw))


def count(config, pattern):
    """What a config makes of records."""
    return reading.open_examples(pattern).count(config)
