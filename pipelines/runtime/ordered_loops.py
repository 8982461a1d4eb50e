"""Makes a model draw the random numbers inside its loops in the same order each time."""

import contextlib
import functools
from collections.abc import Iterator

import tensorflow.compat.v1 as tf
from magenta.contrib import rnn as contrib_rnn
from magenta.contrib import seq2seq as contrib_seq2seq


@contextlib.contextmanager
def ordered_loops() -> Iterator[None]:
    """While this is active, Magenta's encoders and decoders build loops that run step by step.

    TensorFlow runs up to 32 iterations of a loop at once, as far as these do not need each other's
    results. Drawing dropout masks and the noise of sampling needs none, so threads draw them in any
    order, and a seed alone does not give the same numbers again.
    """
    with contextlib.ExitStack() as stack:
        for module, name in (
            (contrib_seq2seq, "dynamic_decode"),
            (contrib_rnn, "stack_bidirectional_dynamic_rnn"),
            (tf.nn, "dynamic_rnn"),
        ):
            original = getattr(module, name)
            stack.callback(setattr, module, name, original)
            setattr(module, name, functools.partial(original, parallel_iterations=1))
        yield
