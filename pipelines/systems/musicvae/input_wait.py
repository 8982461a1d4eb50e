"""How long a training step waits for its batch, which the computing device spends idle."""

import contextlib
from collections.abc import Iterator

import tensorflow.compat.v1 as tf

_COLLECTION = "input_wait"


def seconds() -> tf.Tensor | None:
    """The seconds that the running step has waited, a tensor of the default graph; None without.

    Nothing else is computed meanwhile: all of a step follows from its batch, and the step before is
    over.
    """
    waits = tf.get_collection(_COLLECTION)
    return waits[0] if waits else None


@contextlib.contextmanager
def measured(music_vae_train) -> Iterator[None]:
    """Has graphs that are built meanwhile measure how long they wait for their batches.

    Args:
      music_vae_train: Magenta's module, which takes the batches from the dataset.
    """
    original = music_vae_train._get_input_tensors

    def timed(dataset, config):
        with tf.device("/device:CPU:0"):
            begin = tf.timestamp()
        with tf.control_dependencies([begin]):
            tensors = original(dataset, config)
        there = [tensor for tensor in tensors.values() if tensor is not None]
        with tf.device("/device:CPU:0"), tf.control_dependencies(there):
            tf.add_to_collection(_COLLECTION, tf.timestamp() - begin)
        return tensors

    music_vae_train._get_input_tensors = timed
    try:
        yield
    finally:
        music_vae_train._get_input_tensors = original
