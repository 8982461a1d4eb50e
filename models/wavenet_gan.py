"""WaveNet as the generator of a GAN: samples of one sound to samples of another, all at once.

The generator is a WaveNet that sees both sides of a sample, so it makes all of them side by side,
and works on groups of samples, as channels at a lower rate: R. Prenger, R. Valle and B. Catanzaro,
"WaveGlow: a flow-based generative network for speech synthesis", 2018 (arXiv:1811.00002), section
2.2, without its conditioning. What it gives goes through the straight-through quantiser of
`wavenet`. Critics compare mels, which `log_mels` takes of samples with a gradient, as one of the
critics does in K. Tanaka et al., "WaveCycleGAN2: time-domain neural post-filter for speech waveform
generation", 2019 (arXiv:1904.02892); its critic of waveforms is left out, since it would cost as
much as the generator.
"""

import keras
import numpy as np
from keras import layers, ops

from models import wavenet

_KERNEL = 3
# tanh is 1 only at infinity.
_MOST = 1 - 1e-4
# Below this, magnitudes have no slope that is of use.
_LEAST_POWER = 1e-16


def seen(layers_of_stack: int, stacks: int, group: int) -> int:
    """How many samples before and after a sample have a part in it, at most.

    Args:
      layers_of_stack, stacks, group: as `generator` takes them.
    """
    return stacks * (2**layers_of_stack - 1) * group + group - 1


def generator(
    layers_of_stack: int, stacks: int, channels: int, skip_channels: int, group: int
) -> keras.Model:
    """The network that makes samples of samples.

    It has no biases, so silence becomes the level that is nearest to it. Before training it changes
    nothing but to quantise.

    Args:
      layers_of_stack: each looks twice as far as the one before; the first at neighbours.
      stacks: how many of these follow each other.
      channels: of the residual connections.
      skip_channels: of what layers give to the end.
      group: samples that become the channels of one step of the network.

    Returns:
      A model of float [batch, samples], from -1 to 1, to the same, with the levels of
      `wavenet.requantised`; samples are a multiple of `group`.
    """

    def dense(size: int, **more) -> layers.Layer:
        return layers.Dense(size, use_bias=False, **more)

    inputs = keras.Input((None,))
    grouped = layers.Reshape((-1, group))(inputs)
    x = dense(channels)(grouped)
    total = 0.0
    for layer in range(stacks * layers_of_stack):
        gated = layers.Conv1D(
            2 * channels,
            _KERNEL,
            dilation_rate=2 ** (layer % layers_of_stack),
            padding="same",
            use_bias=False,
        )(x)
        signal, gate = ops.split(gated, 2, axis=-1)
        activated = ops.tanh(signal) * ops.sigmoid(gate)
        total = total + dense(skip_channels)(activated)
        # After the last layer there is none to go on to.
        if layer < stacks * layers_of_stack - 1:
            x = x + dense(channels)(activated)
    hidden = dense(skip_channels, activation="relu")(ops.relu(total))
    change = dense(group, kernel_initializer="zeros")(hidden)
    # tanh of this is the input, as long as nothing is added to it.
    kept = ops.arctanh(ops.clip(grouped, -_MOST, _MOST))
    outputs = layers.Reshape((-1,))(wavenet.quantised(kept + change))
    return keras.Model(inputs, outputs, name="generator")


def log_mels(samples, filters: np.ndarray, floor_db: float):
    """The mels of sounds in dB, of centred windows, with silence before and after the sound.

    Args:
      samples: [batch, samples].
      filters: weights of the bins of a window for each band, [bands, window / 2 + 1].
      floor_db: what is less becomes this, and has no gradient.

    Returns:
      [batch, 1 + samples // hop, bands]; the hop is a quarter of the window.
    """
    window = 2 * (filters.shape[1] - 1)
    padded = ops.pad(samples, [[0, 0], [window // 2, window // 2]])
    real, imaginary = ops.stft(padded, window, window // 4, window, center=False)
    magnitudes = ops.sqrt(ops.square(real) + ops.square(imaginary) + _LEAST_POWER)
    found = ops.matmul(magnitudes, ops.transpose(filters))
    return 20 * ops.log10(ops.maximum(found, 10 ** (floor_db / 20)))
