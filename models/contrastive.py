"""Losses of a dual tower over a batch: each row of one tower has its own row of the other.

`scores` are cosine similarities of all pairs, shaped [batch, batch]: row i holds those of tune i
with every title, and the diagonal holds the pairs that belong together. `same`, bool, of the same
shape, says which pairs are not negatives: the diagonal, versions of one tune, and tunes of one
title. A row without a negative adds nothing to the loss.
"""

import math

import keras
from keras import ops

# From Representation Learning of Music Using Artist Labels (arXiv:1710.06648), section 3.3.
MARGIN = 0.4
# The initial temperature and its lower bound, from CLIP (arXiv:2103.00020), section 2.5.
FIRST_TEMPERATURE, LEAST_TEMPERATURE = 0.07, 0.01


def hinge(scores, same, margin: float = MARGIN):
    """The in-batch hinge loss on cosine similarity (arXiv:1710.06648, equation 1).

    For each pair and either direction, the mean over its negatives of
    max(0, margin - score of the pair + score with the negative).

    Args:
      scores: float tensor shaped [batch, batch].
      same: bool tensor shaped [batch, batch].
      margin: by how much a pair should score higher than its negatives.

    Returns:
      A scalar: the mean over pairs, of the mean of the two directions.
    """
    negative = ops.cast(ops.logical_not(same), scores.dtype)
    own = ops.diagonal(scores)
    over_titles = _mean_of(ops.relu(margin - own[:, None] + scores), negative, axis=1)
    over_tunes = _mean_of(ops.relu(margin - own[None, :] + scores), negative, axis=0)
    return ops.mean(over_titles + over_tunes) / 2


def info_nce(scores, same, temperature):
    """The InfoNCE loss (arXiv:1807.03748, equation 4), both ways as in CLIP (arXiv:2103.00020).

    For each pair and either direction, minus the log of the pair's share of
    exp(score / temperature), summed over itself and its negatives.

    Args:
      scores: float tensor shaped [batch, batch].
      same: bool tensor shaped [batch, batch].
      temperature: positive scalar.

    Returns:
      A scalar: the mean over pairs, of the mean of the two directions.
    """
    size = ops.shape(scores)[0]
    others = ops.logical_and(same, ops.logical_not(ops.eye(size, dtype="bool")))
    # Minus infinity would have a gradient of NaN.
    logits = ops.where(others, ops.cast(-1e9, scores.dtype), scores / temperature)
    own = ops.diagonal(logits)
    over_titles = ops.logsumexp(logits, axis=1) - own
    over_tunes = ops.logsumexp(logits, axis=0) - own
    return ops.mean(over_titles + over_tunes) / 2


def _mean_of(values, weights, axis):
    """The weighted mean; 0 where all weights are 0."""
    return ops.sum(values * weights, axis) / ops.maximum(ops.sum(weights, axis), 1)


class Hinge(keras.layers.Layer):
    """`hinge` as a layer, so that it is used like `InfoNCE`, which has a weight."""

    def call(self, scores, same):
        """Returns the loss of a batch."""
        return hinge(scores, same)


class _AtLeast(keras.constraints.Constraint):
    """Keeps a weight at or above a lower bound after each step, as CLIP does.

    Clipping inside the loss would give no gradient below the bound, and the weight could not come
    back.
    """

    def __init__(self, least: float):
        self._least = least

    def __call__(self, weight):
        """Returns the weight, or the bound where the weight is below it."""
        return ops.maximum(weight, self._least)


class InfoNCE(keras.layers.Layer):
    """`info_nce` with a learnt temperature, stored as its logarithm."""

    def __init__(self):
        super().__init__()
        self.log_temperature = self.add_weight(
            name="log_temperature",
            shape=(),
            initializer=keras.initializers.Constant(math.log(FIRST_TEMPERATURE)),
            constraint=_AtLeast(math.log(LEAST_TEMPERATURE)),
        )

    def temperature(self):
        """The current temperature, a scalar."""
        return ops.exp(self.log_temperature)

    def call(self, scores, same):
        """Returns the loss of a batch."""
        return info_nce(scores, same, self.temperature())


LOSSES = {"hinge": Hinge, "infonce": InfoNCE}
