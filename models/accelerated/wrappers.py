"""Wrappers of Magenta's encoders and decoders; those that stay Magenta's log a warning."""

import tensorflow.compat.v1 as tf
from magenta.contrib import rnn as contrib_rnn
from magenta.models.music_vae import base_model

from models.accelerated.layouts import Layout
from pipelines.runtime import cores

NO_COUNTERPART = "it has no counterpart here"
_OTHER_CELLS = "its cells are not plain LSTMs (residual connections have no counterpart)"


class MagentasEncoder(base_model.BaseEncoder):
    """An encoder of Magenta's that stays as it is; it logs the reason when it is built."""

    def __init__(self, encoder: base_model.BaseEncoder, reason: str):
        self._encoder = encoder
        self._reason = reason

    @property
    def output_depth(self):
        """The size of an embedding."""
        return self._encoder.output_depth

    def build(self, *args, **kwargs):
        """Builds the encoder inside; arguments as in its own `build`."""
        _say(self._encoder, self._reason)
        self._encoder.build(*args, **kwargs)

    def encode(self, *args, **kwargs):
        """Encodes with the encoder inside; as in its own `encode`."""
        return self._encoder.encode(*args, **kwargs)


class DecoderWrapper(base_model.BaseDecoder):
    """Passes everything on to the decoder inside; a subclass overrides what it does faster."""

    def __init__(self, decoder: base_model.BaseDecoder):
        self._decoder = decoder

    @property
    def samples_segments(self) -> bool:
        """Whether it has `sample_segments`, as TeacherForcedDecoder does."""
        return False

    @property
    def state_size(self):
        """The sizes of the state, as in Magenta's decoders."""
        return self._decoder.state_size

    def build(self, hparams, output_depth, is_training=True):
        """Builds the decoder inside; arguments as in BaseDecoder.build."""
        self._decoder.build(hparams, output_depth, is_training)

    def reconstruction_loss(self, *args, **kwargs):
        """The loss of the decoder inside; as in BaseDecoder.reconstruction_loss."""
        return self._decoder.reconstruction_loss(*args, **kwargs)

    def sample(self, *args, **kwargs):
        """Samples from the decoder inside; as in its own `sample`."""
        return self._decoder.sample(*args, **kwargs)


class MagentasDecoder(DecoderWrapper):
    """A decoder of Magenta's that stays as it is; it logs the reason when it is built."""

    def __init__(self, decoder: base_model.BaseDecoder, reason: str):
        super().__init__(decoder)
        self._reason = reason

    def build(self, hparams, output_depth, is_training=True):
        """Builds the decoder inside; arguments as in BaseDecoder.build."""
        _say(self._decoder, self._reason)
        super().build(hparams, output_depth, is_training)


class LayeredDecoder(DecoderWrapper):
    """A decoder that runs the layers of Magenta's cells itself, where those are plain LSTMs.

    Args:
      decoder: Magenta's.
      layout: how it runs.
    """

    def __init__(self, decoder: base_model.BaseDecoder, layout: Layout):
        super().__init__(decoder)
        self._layout = layout

    def build(self, hparams, output_depth, is_training=True):
        """Builds the decoder inside; arguments as in BaseDecoder.build."""
        super().build(hparams, output_depth, is_training)
        self._is_training = is_training
        self._units = hparams.dec_rnn_size
        self._keep_prob = hparams.dropout_keep_prob if is_training else 1.0
        self._stays_magentas = has_other_cells(self._decoder, self._cells(hparams))

    def _cells(self, hparams) -> list:
        """The cells of the decoder inside, which is built."""
        raise NotImplementedError

    def _in_halves(self, run, *tensors):
        """Applies `run` to tensors, in halves of the batch where `cores.in_halves` does."""
        halves = self._layout.fused and not self._layout.compiled
        return cores.in_halves(run, max(self._units) if halves else 0, *tensors)


def has_other_cells(part, cells) -> bool:
    """Whether some cells of a part are not plain LSTMs from `lstm_utils.rnn_cell`; logs that.

    Args:
      part: an encoder or a decoder.
      cells: its cells.
    """
    other = not all(map(_is_plain, cells))
    if other:
        _say(part, _OTHER_CELLS)
    return other


def _is_plain(cell) -> bool:
    """Whether a cell is a stack of LSTMs without residual connections."""
    cells = getattr(cell, "_cells", ())
    return bool(cells) and all(
        isinstance(getattr(one, "cell", None), contrib_rnn.LSTMBlockCell) for one in cells
    )


def _say(part, reason: str) -> None:
    tf.logging.warning("%s stays Magenta's own, at its speed: %s", type(part).__name__, reason)
