"""Likelihoods of one bounded number, such as a hit's velocity, as a decoder learns and draws it.

Each gives a number of raw outputs of a network its meaning. All but the squared error measure
nats a number on the same grid of `levels` values, so that their losses can be compared.
"""

import math

import numpy as np
import tensorflow.compat.v1 as tf

# The least a temperature may be, so that dividing by it stays finite.
_COLDEST = 1e-6


class Likelihood:
    """A distribution over `levels` equally spaced values between `low` and `high`.

    Args:
      low, high: the least and the greatest value.
      levels: how many values there are, `low` and `high` included.

    Attributes:
      parameters: how many raw outputs of the network one number takes.
    """

    parameters = 1

    def __init__(self, low: float, high: float, levels: int):
        self._low, self._high, self._levels = low, high, levels

    def loss(self, raw, value):
        """The negative log-likelihood of values, shaped [...], in nats.

        Args:
          raw: outputs of the network, shaped [..., parameters].
          value: shaped [...]; what lies outside the range counts as its nearest end.
        """
        raise NotImplementedError

    def sample(self, raw, temperature=1.0):
        """Draws values, shaped [...]; a temperature near 0 gives (nearly) the likeliest one.

        Args:
          raw: outputs of the network, shaped [..., parameters].
          temperature: a number or a scalar tensor; under 1 the draws are nearer to the likeliest.
        """
        raise NotImplementedError

    def median(self, raw):
        """The value with the least expected absolute error, shaped [...]."""
        raise NotImplementedError

    def _unit(self, value):
        """Maps [low, high] to [-1, 1]."""
        clipped = tf.clip_by_value(value, self._low, self._high)
        return (clipped - self._low) * (2 / (self._high - self._low)) - 1

    def _value(self, unit):
        """Maps [-1, 1] to [low, high]; what lies outside becomes the nearest end."""
        return (tf.clip_by_value(unit, -1.0, 1.0) + 1) * ((self._high - self._low) / 2) + self._low


class SquaredError(Likelihood):
    """The squared error of one prediction, as in Magenta's GrooveLstmDecoder: nothing is drawn."""

    def loss(self, raw, value):
        """The squared error, which is no log-likelihood."""
        return tf.square(self.median(raw) - value)

    def sample(self, raw, temperature=1.0):
        """The prediction itself."""
        return self.median(raw)

    def median(self, raw):
        """The prediction."""
        return self._value(tf.tanh(raw[..., 0]))


class Bins(Likelihood):
    """A categorical distribution over equal bins of the grid, uniform inside of each.

    Args:
      low, high, levels: as in Likelihood.
      bins: how many.
    """

    def __init__(self, low: float, high: float, levels: int, bins: int = 32):
        super().__init__(low, high, levels)
        self.parameters = bins

    def loss(self, raw, value):
        """The negative log-likelihood of values; see Likelihood."""
        place = tf.cast((self._unit(value) + 1) / 2 * self.parameters, tf.int32)
        place = tf.minimum(place, self.parameters - 1)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=place, logits=raw) + math.log(
            self._levels / self.parameters
        )

    def sample(self, raw, temperature=1.0):
        """Draws a bin at the temperature, and a value inside of it; see Likelihood."""
        temperature = tf.maximum(tf.cast(temperature, tf.float32), _COLDEST)
        drawn = tf.argmax(raw / temperature + _gumbel(tf.shape(raw)), axis=-1)
        inside = 0.5 + tf.minimum(temperature, 1.0) * (tf.random.uniform(tf.shape(drawn)) - 0.5)
        return self._value((tf.cast(drawn, tf.float32) + inside) * (2 / self.parameters) - 1)

    def median(self, raw):
        """The median, linear inside of its bin."""
        shares = tf.nn.softmax(raw)
        cumulated = tf.cumsum(shares, axis=-1)
        before = tf.cumsum(shares, axis=-1, exclusive=True)
        # The first bin whose end reaches a half.
        chosen = tf.reduce_sum(tf.cast(cumulated < 0.5, tf.int32), axis=-1)
        chosen = tf.minimum(chosen, self.parameters - 1)
        start, end = (
            tf.gather(each, chosen, batch_dims=chosen.shape.rank) for each in (before, cumulated)
        )
        inside = tf.clip_by_value((0.5 - start) / tf.maximum(end - start, 1e-9), 0.0, 1.0)
        return self._value((tf.cast(chosen, tf.float32) + inside) * (2 / self.parameters) - 1)


class LogisticMixture(Likelihood):
    """A mixture of logistic distributions on a grid (PixelCNN++, arXiv:1701.05517, equation 2).

    The first and the last value of the grid take what lies beyond them.

    Args:
      low, high, levels: as in Likelihood.
      components: how many logistic distributions. At first their means are spread over the range.
    """

    # The least log of a scale: a tenth of a cell of 127.
    _LEAST_LOG_SCALE = -7.0
    # The log of the scale at first: half of the distance between two of three components.
    _FIRST_LOG_SCALE = -1.5
    # Halvings that bring [-1, 1] under a thousandth of a cell.
    _HALVINGS = 18

    def __init__(self, low: float, high: float, levels: int, components: int = 3):
        super().__init__(low, high, levels)
        self.parameters = 3 * components
        spread = np.linspace(-1, 1, 2 * components + 1)[1::2]
        self._first_means = spread.astype(np.float32)

    def loss(self, raw, value):
        """The negative log-likelihood of values; see Likelihood."""
        logits, means, log_scales = self._split(raw)
        unit = self._unit(value)[..., tf.newaxis]
        half_cell = 1 / (self._levels - 1)
        inverse_scales = tf.exp(-log_scales)
        above = inverse_scales * (unit + half_cell - means)
        below = inverse_scales * (unit - half_cell - means)
        middle = inverse_scales * (unit - means)
        mass = tf.sigmoid(above) - tf.sigmoid(below)
        # Where the mass of a cell is too small for float32, the density times its width.
        density = middle - log_scales - 2 * tf.nn.softplus(middle) + math.log(2 * half_cell)
        inner = tf.where(mass > 1e-5, tf.log(tf.maximum(mass, 1e-12)), density)
        lowest = tf.log_sigmoid(above)
        highest = tf.log_sigmoid(-below)
        first = tf.broadcast_to(unit < half_cell - 1, tf.shape(inner))
        last = tf.broadcast_to(unit > 1 - half_cell, tf.shape(inner))
        log_mass = tf.where(first, lowest, tf.where(last, highest, inner))
        return -tf.reduce_logsumexp(tf.nn.log_softmax(logits) + log_mass, axis=-1)

    def sample(self, raw, temperature=1.0):
        """Draws a component at the temperature, and a value at a scale times it; see Likelihood."""
        temperature = tf.maximum(tf.cast(temperature, tf.float32), _COLDEST)
        logits, means, log_scales = self._split(raw)
        drawn = tf.argmax(logits / temperature + _gumbel(tf.shape(logits)), axis=-1)
        mean, log_scale = (
            tf.gather(each, drawn, batch_dims=drawn.shape.rank) for each in (means, log_scales)
        )
        uniform = tf.random.uniform(tf.shape(mean), 1e-5, 1 - 1e-5)
        logistic = tf.log(uniform) - tf.log1p(-uniform)
        return self._value(mean + tf.exp(log_scale) * temperature * logistic)

    def median(self, raw):
        """The median of the mixture, by bisection."""
        logits, means, log_scales = self._split(raw)
        weights, inverse_scales = tf.nn.softmax(logits), tf.exp(-log_scales)
        low = -tf.ones_like(means[..., :1])
        high = -low
        for _ in range(self._HALVINGS):
            middle = (low + high) / 2
            below = weights * tf.sigmoid(inverse_scales * (middle - means))
            over = tf.reduce_sum(below, axis=-1, keepdims=True) > 0.5
            low, high = tf.where(over, low, middle), tf.where(over, middle, high)
        return self._value((low + high)[..., 0] / 2)

    def _split(self, raw):
        """Logits, means in [-1, 1] and beyond, and logs of scales, each [..., components]."""
        logits, means, log_scales = tf.split(raw, 3, axis=-1)
        log_scales = tf.maximum(log_scales + self._FIRST_LOG_SCALE, self._LEAST_LOG_SCALE)
        return logits, means + self._first_means, log_scales


LIKELIHOODS = {
    "squared_error": SquaredError,
    "bins": Bins,
    "mixture": LogisticMixture,
}


def _gumbel(shape):
    """Draws from the Gumbel distribution, whose argmax with logits draws a category."""
    return -tf.log(-tf.log(tf.random.uniform(shape, 1e-20, 1.0)))
