"""How the work of a training step is laid out over the cores of this machine."""

import contextlib
import os

# Where there are so many, large batches are stepped in halves (`in_halves`), and TensorFlow runs
# each operation on one core: two operations side by side, none of them shared out, waste the least
# time on waiting for each other. With more cores that was not measured, and TensorFlow decides.
_HALVED = 2
# It takes states of so many numbers to be worth it.
_HALVES_FROM = 1 << 12


def count() -> int:
    """How many cores this process may use; not all systems tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def halved() -> bool:
    """Whether there are two cores and no GPU to compute on."""
    import tensorflow as tf

    return count() == _HALVED and not tf.config.get_visible_devices("GPU")


def in_halves(run, units: int, *tensors):
    """Runs something over a batch, or over its halves, each on a core of its own, where that pays.

    Args:
      run: from tensors to a tensor, [batch, ...] all of them; makes no variables.
      units: numbers in the state of one sequence, which it takes step by step; 0 if it is not to be
        split.
      *tensors: what it is given: tensors, None, and lists and tuples of them.
    """
    import tensorflow as tf

    parts = tf.nest.flatten(tensors)
    batch = next(int(part.shape[0]) for part in parts if part is not None)
    if not halved() or batch * units < _HALVES_FROM:
        return run(*tensors)
    sizes = [batch - batch // 2, batch // 2]
    parts = [[None] * 2 if part is None else tf.split(part, sizes) for part in parts]
    halves = [tf.nest.pack_sequence_as(tensors, half) for half in zip(*parts)]
    return tf.concat([run(*half) for half in halves], axis=0)


def lay_out() -> None:
    """Sets TensorFlow's threads for training, but for those that a user has set.

    TF_NUM_INTRAOP_THREADS and TF_NUM_INTEROP_THREADS are TensorFlow's own variables.

    Call it before the first session of the process; later it changes nothing.
    """
    import tensorflow as tf

    if not halved():
        return
    # A session before this one has made the threads.
    with contextlib.suppress(RuntimeError):
        if "TF_NUM_INTRAOP_THREADS" not in os.environ:
            tf.config.threading.set_intra_op_parallelism_threads(1)
        if "TF_NUM_INTEROP_THREADS" not in os.environ:
            tf.config.threading.set_inter_op_parallelism_threads(_HALVED)
