"""WaveNet, small: sound sample by sample, each drawn from 256 levels, given mels.

Source: A. van den Oord et al., "WaveNet: a generative model for raw audio", 2016 (arXiv
1609.03499): mu-law (equation before section 2.3), gated activations (equation 2), conditioning
(equation 3), residual and skip connections (figure 4). As a vocoder on mels: J. Shen et al.,
"Natural TTS synthesis by conditioning WaveNet on mel spectrogram predictions", 2017
(arXiv:1712.05884).

The network is in Keras, for training, where all samples are known; `Sampler` draws them one after
another with the same weights in NumPy, and keeps what each layer remembers.
"""

import keras
import numpy as np
from keras import ops

LEVELS = 256
_MU = LEVELS - 1
_KERNEL = 2


def compand(samples):
    """The mu-law: quiet samples are spread over more of the levels.

    Args:
      samples: from -1 to 1, any shape.

    Returns:
      From -1 to 1, the same shape.
    """
    return ops.sign(samples) * ops.log1p(_MU * ops.abs(samples)) / np.log1p(_MU)


def expand(companded):
    """The inverse of `compand`."""
    return ops.sign(companded) * (ops.power(1.0 + _MU, ops.abs(companded)) - 1) / _MU


def levels(samples):
    """The level of each sample, a whole number from 0 to 255; beyond -1 and 1 is cut off."""
    companded = compand(ops.clip(ops.convert_to_tensor(samples), -1.0, 1.0))
    return ops.cast(ops.round((companded + 1) / 2 * _MU), "int32")


def samples_of(level):
    """The sample in the middle of each level: the inverse of `levels`."""
    return expand(ops.cast(ops.convert_to_tensor(level), "float32") / _MU * 2 - 1)


def quantised(values):
    """What a network gives without bounds, as samples of 256 levels, with a gradient.

    By tanh into -1 to 1, by the mu-law, to the nearest level, and back. Rounding has no gradient,
    so it is passed over: the straight-through estimator (Y. Bengio, N. Leonard and A. Courville,
    "Estimating or propagating gradients through stochastic neurons", 2013, arXiv:1308.3432). So
    what a critic sees of a network has the levels that it sees of real sound, `requantised`.

    Args:
      values: any numbers, any shape.
    """
    companded = compand(ops.tanh(values))
    nearest = ops.round((companded + 1) / 2 * _MU) / _MU * 2 - 1
    return expand(companded + ops.stop_gradient(nearest - companded))


def requantised(samples):
    """Real sound with 256 levels."""
    return samples_of(levels(samples))


class WaveNet(keras.Model):
    """Predicts each sample from those before it and from mels.

    Args:
      dilations: how far apart the two samples are that each layer looks at.
      channels: of the residual connections.
      skip_channels: of what the layers give to the end.
      hop: samples that each frame of mels lasts.
    """

    def __init__(
        self, dilations: tuple[int, ...], channels: int, skip_channels: int, hop: int, name=None
    ):
        super().__init__(name=name)
        self.dilations, self.channels, self.hop = dilations, channels, hop
        dense = keras.layers.Dense
        self.enter = dense(channels, name="enter")
        self.past = [
            dense(2 * channels, use_bias=False, name=f"past_{i}") for i in range(len(dilations))
        ]
        self.now = [dense(2 * channels, name=f"now_{i}") for i in range(len(dilations))]
        self.given = [
            dense(2 * channels, use_bias=False, name=f"given_{i}") for i in range(len(dilations))
        ]
        # After the last layer there is none to go on to.
        self.onward = [dense(channels, name=f"onward_{i}") for i in range(len(dilations) - 1)]
        self.skip = [dense(skip_channels, name=f"skip_{i}") for i in range(len(dilations))]
        self.hidden = dense(skip_channels, activation="relu", name="hidden")
        self.leave = dense(LEVELS, name="leave")

    @property
    def receptive_field(self) -> int:
        """How many samples before a sample have a part in it."""
        return 1 + sum(self.dilations)

    def call(self, inputs):
        """Predicts samples.

        Args:
          inputs: the samples before those that are predicted, float from -1 to 1, [batch, samples];
            and mels, scaled to about -1 to 1, [batch, frames, bands], with frames * hop >= samples.

        Returns:
          Logits of the levels, [batch, samples, 256].
        """
        before, mels = inputs
        count = ops.shape(before)[1]
        x = self.enter(compand(before)[..., None])
        total = 0.0
        for i, dilation in enumerate(self.dilations):
            earlier = ops.pad(x, [[0, 0], [dilation, 0], [0, 0]])[:, :count]
            given = ops.repeat(self.given[i](mels), self.hop, axis=1)[:, :count]
            gated = self.past[i](earlier) + self.now[i](x) + given
            signal, gate = ops.split(gated, 2, axis=-1)
            activated = ops.tanh(signal) * ops.sigmoid(gate)
            total = total + self.skip[i](activated)
            if i < len(self.onward):
                x = x + self.onward[i](activated)
        return self.leave(self.hidden(ops.relu(total)))


def loss(logits, samples):
    """The cross entropy of the levels of samples, in nats a sample.

    Args:
      logits: from `WaveNet`, [batch, samples, 256].
      samples: the samples that follow those that it was given, [batch, samples].
    """
    return ops.mean(
        keras.losses.sparse_categorical_crossentropy(levels(samples), logits, from_logits=True)
    )


class Sampler:
    """Draws samples one after another, several sounds at once.

    A layer looks at what it was given `dilation` samples before, so the last `dilation` of these
    are kept, in a ring: a sample costs as much as its own column of the network, however long the
    sound is (T. Le Paine et al., "Fast Wavenet generation algorithm", 2016, arXiv:1611.09482).

    Args:
      network: with weights.
    """

    def __init__(self, network: WaveNet):
        def weights(layer) -> tuple[np.ndarray, ...]:
            return tuple(layer.get_weights())

        self._dilations, self._hop = network.dilations, network.hop
        self._channels = network.channels
        self._enter, self._hidden, self._leave = (
            weights(layer) for layer in (network.enter, network.hidden, network.leave)
        )
        self._given = [weights(layer)[0] for layer in network.given]
        # One product for what is now and what is past, and one for what goes on and what is left.
        self._both = [
            np.concatenate([weights(past)[0], weights(now)[0]])
            for past, now in zip(network.past, network.now)
        ]
        self._bias = [weights(now)[1] for now in network.now]
        nothing = np.zeros((network.channels, network.channels), np.float32), 0 * self._enter[1]
        onward = [*map(weights, network.onward), nothing]
        self._out = [
            tuple(np.concatenate(parts, axis=-1) for parts in zip(goes_on, weights(skip)))
            for goes_on, skip in zip(onward, network.skip)
        ]

    def logits(self, before: np.ndarray, state: list[np.ndarray], frame: list[np.ndarray],
               at: int) -> np.ndarray:  # fmt: skip
        """The logits of the next sample.

        Args:
          before: the sample before it, float32 [sounds].
          state: from `begin`; it is changed.
          frame: what `frames` gives for the frame of the sample.
          at: the number of the sample.

        Returns:
          Float32 [sounds, 256].
        """
        companded = np.sign(before) * np.log1p(_MU * np.abs(before)) / np.log1p(_MU)
        x = companded[:, None].astype(np.float32) @ self._enter[0] + self._enter[1]
        total = 0.0
        for i, dilation in enumerate(self._dilations):
            place = at % dilation
            earlier = state[i][place]
            gated = np.concatenate([earlier, x], axis=1) @ self._both[i] + (
                frame[i] + self._bias[i]
            )
            state[i][place] = x
            signal, gate = gated[:, : self._channels], gated[:, self._channels :]
            # A sigmoid is a tanh of half its argument, and NumPy's tanh does not overflow.
            activated = np.tanh(signal) * (0.5 + 0.5 * np.tanh(0.5 * gate))
            kernel, bias = self._out[i]
            out = activated @ kernel + bias
            x = x + out[:, : self._channels]
            total = total + out[:, self._channels :]
        hidden = np.maximum(np.maximum(total, 0) @ self._hidden[0] + self._hidden[1], 0)
        return hidden @ self._leave[0] + self._leave[1]

    def begin(self, sounds: int) -> list[np.ndarray]:
        """What the layers remember before the first sample: nothing."""
        return [
            np.zeros((dilation, sounds, self._channels), np.float32) for dilation in self._dilations
        ]

    def frames(self, mels: np.ndarray) -> list[list[np.ndarray]]:
        """What mels give to each layer, by frame.

        Args:
          mels: as `WaveNet.call` takes them, [sounds, frames, bands].
        """
        given = [mels @ kernel for kernel in self._given]
        return [[each[:, frame] for each in given] for frame in range(mels.shape[1])]

    def draw(
        self, mels: np.ndarray, length: int, rng: np.random.Generator, temperature: float = 1.0
    ) -> np.ndarray:
        """Draws sounds.

        Args:
          mels: as `WaveNet.call` takes them, [sounds, frames, bands], with frames * hop >= length.
          length: samples of each.
          rng: what draws.
          temperature: what logits are divided by; 0 takes the likeliest level.

        Returns:
          Float32 from -1 to 1, [sounds, length].
        """
        state, frames = self.begin(len(mels)), self.frames(mels)
        sample = np.zeros(len(mels), np.float32)
        made = np.zeros((len(mels), length), np.float32)
        table = ops.convert_to_numpy(samples_of(np.arange(LEVELS)))
        for at in range(length):
            logits = self.logits(sample, state, frames[at // self._hop], at)
            if temperature:
                # The largest of logits with Gumbel noise is a draw from their softmax.
                logits = logits / temperature + rng.gumbel(size=logits.shape)
            sample = table[logits.argmax(axis=1)]
            made[:, at] = sample
        return made
