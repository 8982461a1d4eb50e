"""What goes into a compiled step; tests.systems.musicvae.test_strategies has what it computes."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from models import compiled_step


@pytest.mark.parametrize("longest", [2, 4, 7])
def test_batches_get_one_length(longest):
    """Padded with 0s or cut to 4 steps; what there is of them stays as it is."""
    rng = np.random.default_rng(longest)
    sequence = rng.random([3, longest, 5], np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        unknown = tf.placeholder_with_default(sequence, [3, None, 5])
        lengths = tf.constant([longest, 1, 0])
        given = {"input_sequence": unknown, "control_sequence": None, "sequence_length": lengths}
        made = compiled_step.static(given, 4)
        assert made["control_sequence"] is None and made["sequence_length"] is lengths
        assert made["input_sequence"].shape == [3, 4, 5]
        found = session.run(made["input_sequence"])
    kept = min(longest, 4)
    np.testing.assert_array_equal(found[:, :kept], sequence[:, :kept])
    assert not found[:, kept:].any()
