"""The dual tower maps tunes and titles to vectors of length one; their dot product is the score.

The tune tower sees how often each short n-gram of the melody occurs. A stack of dilated
convolutions over the notes, in its place or beside it, took four times as long and did not find
more held-out titles (experiments/titles/README.md).
"""

import math
from typing import NamedTuple

import keras
from keras import layers, ops

from models.contrastive import LOSSES

_PITCH_CLASSES = 12
# Vectors shorter than this are not scaled to length one.
_LEAST_LENGTH = 1e-3


class Vocabulary(NamedTuple):
    """The vocabulary sizes of the inputs of the tune tower, whose indices count from 0.

    Attributes:
      pitch, interval, length, position: the columns of the notes, in their order. Pitch 1 is a
        tonic, and each number is a semitone.
      meters, modes: the inputs that describe a whole melody.
    """

    pitch: int
    interval: int
    length: int
    position: int
    meters: int
    modes: int


# The kinds of n-grams that are counted, each by its parts: (feature, notes before the last one).
_GRAMS = {
    "rhythm": (("length", 2), ("length", 1), ("length", 0)),
    "melody": (("pitch_class", 2), ("pitch_class", 1), ("pitch_class", 0)),
    "meter": (("position", 0), ("length", 0)),
    "pitch_class": (("pitch_class", 0),),
    "pitch": (("pitch", 0),),
    "interval": (("interval", 0),),
}


class NGrams(layers.Layer):
    """Counts n-grams: the square root of the share that each has among those of its kind.

    Square roots compare vectors of shares as the Hellinger distance does: that a rare n-gram occurs
    at all counts for more than how often it does.

    Args:
      vocabulary: the vocabulary sizes of the notes.
    """

    def __init__(self, vocabulary: Vocabulary):
        super().__init__()
        self._columns = vocabulary._fields[:4]
        self._sizes = {**vocabulary._asdict(), "pitch_class": _PITCH_CLASSES}

    def call(self, notes):
        """Counts the n-grams of a batch of melodies.

        Args:
          notes: int tensor shaped [batch, notes, 4], with the first four columns of the
            vocabulary, padded with zeros.

        Returns:
          A float tensor shaped [batch, n-grams of all kinds]; zeros for an empty melody.
        """
        notes = ops.cast(notes, "int32")
        features = dict(zip(self._columns, ops.unstack(notes, 4, axis=-1), strict=True))
        features["pitch_class"] = (features["pitch"] - 1) % _PITCH_CLASSES
        there = ops.cast(features["pitch"] > 0, "float32")
        length = ops.shape(notes)[1]
        shares = []
        for parts in _GRAMS.values():
            first = max(back for _, back in parts)
            code = 0
            for name, back in parts:
                code = code * self._sizes[name] + features[name][:, first - back : length - back]
            size = math.prod(self._sizes[name] for name, _ in parts)
            counts = ops.bincount(code, weights=there[:, first:], minlength=size)
            # Keras cannot know that every code is below `size`, so it needs the shape.
            counts = ops.reshape(counts, (-1, size))
            total = ops.sum(counts, axis=1, keepdims=True)
            shares.append(ops.sqrt(counts / ops.maximum(total, 1)))
        return ops.concatenate(shares, axis=1)


class TuneTower(keras.Model):
    """Maps melodies to vectors, from n-grams, meter and mode through one hidden layer.

    Args:
      vocabulary: the vocabulary sizes of the melodies.
      dimensions: the size of the vectors.
      hidden: the units of the hidden layer.
      dropout: the share of the inputs that is dropped before each layer.
    """

    def __init__(self, vocabulary: Vocabulary, dimensions: int, hidden: int, dropout: float):
        super().__init__(name="tune_tower")
        self.ngrams = NGrams(vocabulary)
        self.meter = layers.CategoryEncoding(vocabulary.meters, "one_hot")
        self.mode = layers.CategoryEncoding(vocabulary.modes, "one_hot")
        self.dropouts = [layers.Dropout(dropout), layers.Dropout(dropout)]
        self.hidden = layers.Dense(hidden, "gelu")
        self.output_layer = layers.Dense(dimensions)

    def call(self, inputs, training=False):
        """Encodes a batch.

        Args:
          inputs: a dict of "notes", int [batch, notes, 4], "meter" and "mode", int [batch].
          training: whether dropout is on.

        Returns:
          A float tensor shaped [batch, dimensions].
        """
        grams = self.dropouts[0](self.ngrams(inputs["notes"]), training=training)
        # Meter and mode are not dropped: they say which n-grams to expect.
        features = [self.meter(inputs["meter"]), self.mode(inputs["mode"]), grams]
        hidden = self.hidden(ops.concatenate(features, axis=1))
        return _unit(self.output_layer(self.dropouts[1](hidden, training=training)))


class TitleTower(keras.Model):
    """Maps embeddings of titles to vectors by one linear layer.

    Args:
      dimensions: the size of the vectors.
      dropout: the share of the embedding that is dropped.
    """

    def __init__(self, dimensions: int, dropout: float):
        super().__init__(name="title_tower")
        self.dropout = layers.Dropout(dropout)
        self.output_layer = layers.Dense(dimensions)

    def call(self, embeddings, training=False):
        """Encodes a batch, float [batch, size of an embedding], to [batch, dimensions]."""
        return _unit(self.output_layer(self.dropout(embeddings, training=training)))


class DualTower(keras.Model):
    """Both towers and their loss.

    Args:
      loss: a name in `contrastive.LOSSES`.
      vocabulary: the vocabulary sizes of the melodies.
      dimensions: the size of the space in which tunes and titles meet.
      hidden: the units of the tune tower's hidden layer.
      tune_dropout, title_dropout: the dropout of each tower.
    """

    def __init__(
        self,
        loss: str,
        vocabulary: Vocabulary,
        dimensions: int = 64,
        hidden: int = 128,
        tune_dropout: float = 0.5,
        title_dropout: float = 0.5,
    ):
        super().__init__(name="dual_tower")
        self.tunes = TuneTower(vocabulary, dimensions, hidden, tune_dropout)
        self.titles = TitleTower(dimensions, title_dropout)
        self.contrast = LOSSES[loss]()

    def call(self, inputs, training=False):
        """Computes the loss of a batch of pairs, with one tune and one title in each row.

        Args:
          inputs: what `TuneTower.call` takes, "title", float [batch, size of an embedding], and
            "same", bool [batch, batch]: which pairs are not negatives of each other.
          training: whether dropout is on.

        Returns:
          A scalar.
        """
        tunes = self.tunes(inputs, training=training)
        titles = self.titles(inputs["title"], training=training)
        return self.contrast(ops.matmul(tunes, ops.transpose(titles)), inputs["same"])


def _unit(vectors):
    """Scales vectors to length one; zeros stay zeros.

    Unlike `ops.normalize`, it has a finite gradient at zeros. A title is zeros at the first step if
    the text encoder finds nothing in it, or if dropout takes all of its embedding.
    """
    squares = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, _LEAST_LENGTH**2))
