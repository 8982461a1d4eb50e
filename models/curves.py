"""An LSTM over ids, with other indices beside each of them, that predicts ids."""

from collections.abc import Sequence

import keras
from keras import layers, ops


class StackedLSTM(keras.Model):
    """Layers of LSTM over one-hot inputs, and a linear layer to the logits of the ids.

    Args:
      vocabulary: how many ids there are.
      context: the sizes of the vocabularies of the other inputs; there may be none.
      depth: how many layers of LSTM.
      units: of each layer.
      dropout: the share of what each layer gives that is dropped.
      residual: whether each layer but the first adds to what it is given. Without that, three
        layers learn nothing of their inputs for many epochs.
    """

    def __init__(
        self,
        vocabulary: int,
        context: Sequence[int],
        depth: int,
        units: int,
        dropout: float = 0.0,
        residual: bool = False,
    ):
        super().__init__(name="stacked_lstm")
        self._sizes = (vocabulary, *context)
        self._units = units
        self._residual = residual
        self.lstms = [
            layers.LSTM(units, return_sequences=True, return_state=True, name=f"lstm_{number}")
            for number in range(depth)
        ]
        self.dropouts = [layers.Dropout(dropout) for _ in range(depth)]
        self.output_layer = layers.Dense(vocabulary)

    def call(self, inputs, states=None, training=False):
        """Computes the logits after each step.

        Args:
          inputs: int tensor shaped [batch, steps, 1 + other inputs]. An index of -1 stands for
            nothing, such as the id before the first one.
          states: float tensor shaped [layers, 2, batch, units], what a call before this returned;
            None for a new sequence.
          training: whether dropout is on.

        Returns:
          The logits, float [batch, steps, vocabulary], and the states after the last step.
        """
        columns = ops.unstack(ops.cast(inputs, "int32"), len(self._sizes), axis=-1)
        # Of -1 a one-hot vector has no one.
        hot = [ops.one_hot(column, size) for column, size in zip(columns, self._sizes, strict=True)]
        hidden = ops.concatenate(hot, axis=-1)
        if states is None:
            states = ops.zeros((len(self.lstms), 2, ops.shape(inputs)[0], self._units))
        after = []
        for number, (lstm, dropout) in enumerate(zip(self.lstms, self.dropouts, strict=True)):
            before = [states[number, 0], states[number, 1]]
            output, *new = lstm(hidden, initial_state=before, training=training)
            output = dropout(output, training=training)
            hidden = hidden + output if self._residual and number else output
            after.append(ops.stack(new))
        return self.output_layer(hidden), ops.stack(after)


def softmax_loss(logits, labels):
    """The cross entropy of each label among all ids, in nats: float [batch, steps].

    Args:
      logits: float [batch, steps, vocabulary].
      labels: int [batch, steps].
    """
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def sigmoid_loss(logits, labels):
    """The mean binary cross entropy of all ids, each for itself, in nats: float [batch, steps].

    Arguments are those of `softmax_loss`.
    """
    hot = ops.one_hot(ops.cast(labels, "int32"), logits.shape[-1])
    return keras.losses.binary_crossentropy(hot, logits, from_logits=True)


LOSSES = {"softmax": softmax_loss, "sigmoid": sigmoid_loss}
