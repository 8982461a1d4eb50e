"""A small network that finds a soft mask on a spectrogram: which share of each bin is one source.

A U-Net along frequency alone: its convolutions look at a few frames each and keep the number of
frames, so a frame's mask depends on `context` frames before and after it and on no others. In the
middle, where frequency is shortest, all of it is mixed, and dilated convolutions look further along
time. Besides the log magnitudes it is given their means along time and along frequency, since lines
along time are tones and lines along frequency are strokes.
"""

from collections.abc import Sequence

import keras
from keras import layers, ops

_SMOOTHED = 31  # Frames, and bins, of the means.
_FLOOR = 1e-3  # Added to magnitudes, whose full scale is a few hundred.
# Relative to the mixture. Errors far below teach nothing more: those where one source is silent.
_LEAST_ERROR = 1e-3


class MaskNetwork(keras.Model):
    """Magnitudes to the logits of a mask.

    Args:
      bins: of the magnitudes, a multiple of two to the power of the number of `channels`.
      channels: of each level of the U-Net, from all bins downward; each has half the bins of the
        one before.
      units: of the dilated convolutions.
      dilations: of those, a layer each.
    """

    def __init__(
        self, bins: int, channels: Sequence[int], units: int, dilations: Sequence[int] = (1, 2, 4)
    ):
        super().__init__(name="mask_network")
        if bins % 2 ** len(channels):
            raise ValueError(f"{bins} bins cannot be halved {len(channels)} times")
        self.bins = bins
        lowest = bins // 2 ** len(channels)
        along_time, along_frequency = (_SMOOTHED, 1), (1, _SMOOTHED)
        self.means = [
            layers.AveragePooling2D(size, strides=1, padding="same", data_format="channels_last")
            for size in (along_time, along_frequency)
        ]
        self.down = [
            _convolution(number, (3, 5), f"down_{level}", strides=(1, 2))
            for level, number in enumerate(channels)
        ]
        self.squeeze = layers.Dense(units, activation="relu", name="squeeze")
        self.middle = [
            layers.Conv1D(
                units,
                3,
                padding="same",
                dilation_rate=rate,
                activation="relu",
                data_format="channels_last",
                name=f"middle_{number}",
            )
            for number, rate in enumerate(dilations)
        ]
        self.widen = layers.Dense(lowest * channels[-1], activation="relu", name="widen")
        self.spread = layers.Reshape((-1, lowest, channels[-1]))
        above = [channels[0], *channels[:-1]]
        self.up = [
            _convolution(number, (3, 3), f"up_{level}") for level, number in enumerate(above)
        ]
        self.double = layers.UpSampling2D((1, 2), data_format="channels_last")
        self.out = layers.Conv2D(1, (3, 3), padding="same", data_format="channels_last", name="out")
        steps = len(channels) + len(above) + 1 + sum(dilations)
        self.context = _SMOOTHED // 2 + steps

    def call(self, magnitudes, training=False):
        """Computes a mask.

        Args:
          magnitudes: float tensor shaped [batch, frames, bins].
          training: not used; there is nothing that differs.

        Returns:
          The logits of the share of the source in each bin, float [batch, frames, bins].
        """
        logs = ops.expand_dims(ops.log(magnitudes + _FLOOR), -1)
        inputs = ops.concatenate([logs, *(mean(logs) for mean in self.means)], axis=-1)
        # About the mean and the spread of what is heard.
        inputs = inputs / 4.0
        hidden, passed = inputs, []
        for layer in self.down:
            passed.append(hidden)
            hidden = layer(hidden)
        flat = layers.Reshape((-1, hidden.shape[2] * hidden.shape[3]))(hidden)
        squeezed = self.squeeze(flat)
        for layer in self.middle:
            squeezed = squeezed + layer(squeezed)
        hidden = hidden + self.spread(self.widen(squeezed))
        for layer, skipped in reversed(list(zip(self.up, passed, strict=True))):
            hidden = layer(ops.concatenate([self.double(hidden), skipped], axis=-1))
        return ops.squeeze(self.out(hidden), -1)


def _convolution(channels: int, size: tuple[int, int], name: str, strides=(1, 1)):
    return layers.Conv2D(
        channels,
        size,
        strides=strides,
        padding="same",
        activation="relu",
        data_format="channels_last",
        name=name,
    )


def distortion_db(logits, mixtures, crosses, sources):
    """How large the error of the masked mixture is, relative to the mixture: the loss.

    As both sources, masked and left, have one error, this plus a constant is the mean of their
    signal-to-distortion ratios, with the sign turned. It compares spectra with their phases, so the
    best real mask is not the ratio of magnitudes but the phase-sensitive one (Erdogan, Hershey,
    Watanabe and Le Roux, "Phase-sensitive and recognition-boosted speech separation", 2015).

    Args:
      logits: of the mask, float [batch, frames, bins].
      mixtures: squared magnitudes of the mixture, of the same shape.
      crosses: the real parts of the source's spectra times the conjugates of the mixture's.
      sources: squared magnitudes of the source.

    Returns:
      dB for each example, float [batch]; about 0 where the error is as large as the
      mixture, and at least -30.
    """
    masks = ops.sigmoid(logits)
    errors = ops.sum(masks * masks * mixtures - 2.0 * masks * crosses + sources, axis=(1, 2))
    energies = ops.sum(mixtures, axis=(1, 2)) + 1e-6
    return 10.0 * ops.log10(ops.maximum(errors, 0.0) / energies + _LEAST_ERROR)
