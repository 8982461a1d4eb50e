"""Divides the work of a training step between the cores of this machine."""

import contextlib
import os

# With this many cores, large batches are computed in halves (`in_halves`), and TensorFlow runs each
# operation on one core: two whole operations side by side wait the least for each other. This was
# not measured with more cores; there TensorFlow decides.
_HALVED = 2
# Halves pay if the states of a batch have at least this many numbers.
_HALVES_FROM = 1 << 12


def count() -> int:
    """The number of cores that this process may use; of all cores, if the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def halved() -> bool:
    """Whether batches are computed in halves: on two cores without a GPU."""
    import tensorflow as tf

    return count() == _HALVED and not tf.config.get_visible_devices("GPU")


def in_halves(run, units: int, *tensors):
    """Runs a function over a batch or, where that is faster, over its halves on a core each.

    Args:
      run: takes tensors and returns one, all shaped [batch, ...]; it must make no variables.
      units: the number of numbers in the state of one sequence, which `run` takes step by step; 0
        to run the batch as a whole.
      *tensors: the arguments of `run`: tensors, None, and lists and tuples of these.
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
    """Sets TensorFlow's numbers of threads for training, unless the user has set them.

    Users set them by TensorFlow's own variables, TF_NUM_INTRAOP_THREADS and
    TF_NUM_INTEROP_THREADS. Call this before the first session of the process; later it changes
    nothing.
    """
    import tensorflow as tf

    if not halved():
        return
    # TensorFlow raises this if an earlier session has made the threads.
    with contextlib.suppress(RuntimeError):
        if "TF_NUM_INTRAOP_THREADS" not in os.environ:
            tf.config.threading.set_intra_op_parallelism_threads(1)
        if "TF_NUM_INTEROP_THREADS" not in os.environ:
            tf.config.threading.set_inter_op_parallelism_threads(_HALVED)


def compute_on_one() -> contextlib.AbstractContextManager:
    """Has NumPy and SciPy compute on one core each, from now on or until a `with` block ends.

    With one thread sums are the same on every machine. Many products of small matrices take several
    times as long where their threads wait for each other, and most of all where processes share the
    cores.
    """
    # threadpoolctl, which scikit-learn brings: it reaches libraries that are loaded already.
    import threadpoolctl

    return threadpoolctl.threadpool_limits(1)
