"""What networks share that turn one mel spectrogram into another: layers, and the U-Net of Pasini.

M. Pasini's networks ("MelGAN-VC", arXiv:1910.03713, 2019) take a spectrogram as a picture, but
their first layer spans all bands at once. So they are convolutions over time alone, with a channel
a band, and are written as such here. Tensors are shaped [batch, frames, bands].
"""

import keras
from keras import layers, ops

# Frames that a generator takes must be a multiple of this: it halves them twice.
STRIDE = 4
# Frames before and after one that can change what a generator makes of it, at most: half the
# kernels at the rates they have, 1 + 4 + 2 x 3 + 2 x 3 + 4, and 3 by repeated frames.
SEEN = 24


@keras.saving.register_keras_serializable("reelgroove")
class SpectralNormConv1D(layers.Conv1D):
    """A convolution whose kernel has, as a matrix, the largest singular value 1.

    Source: Miyato et al., "Spectral normalization for generative adversarial networks", 2018,
    algorithm 1. Keras's own `SpectralNormalization` assigns the normalized kernel to the weight
    itself, so the optimiser changes other weights than the gradient was taken for, and the number
    of calls a step counts. Here the weight stays as it is, and the gradient goes through the
    division, as in the paper.

    Each call in training makes one step of the power iteration. Arguments are those of `Conv1D`.
    """

    def build(self, input_shape):
        """Makes the kernel and the vector of the power iteration."""
        super().build(input_shape)
        self.left = self.add_weight(
            name="left", shape=(self.filters,), initializer="random_normal", trainable=False
        )

    def call(self, inputs, training=False):
        """Convolves with the kernel divided by its largest singular value, as far as is known."""
        matrix = ops.reshape(self.kernel, (-1, self.filters))
        fixed = ops.stop_gradient(matrix)
        right = _unit(ops.matmul(fixed, self.left))
        left = _unit(ops.matmul(right, fixed))
        if training:
            self.left.assign(left)
        norm = ops.sum(right * ops.matmul(matrix, left))
        outputs = self.convolution_op(inputs, self.kernel / norm)
        if self.use_bias:
            outputs = outputs + self.bias
        return self.activation(outputs) if self.activation is not None else outputs


def _unit(vector):
    return vector / (ops.norm(vector) + 1e-12)


def generator(
    bands: int,
    width: int,
    spectral_norm: bool = True,
    batch_norm: bool = True,
    residual: bool = False,
) -> keras.Model:
    """The U-Net that makes a spectrogram of another.

    Args:
      bands: of the spectrograms.
      width: channels of each layer; 256 as published.
      spectral_norm: whether kernels are divided by their largest singular values.
      batch_norm: whether all layers but the last two normalize the batch, as published.
      residual: whether the output is added to the input, and is 0 before training, in place of a
        tanh. Without training such a generator changes nothing.

    Returns:
      A model of float [batch, frames, bands] to the same; frames are a multiple of `STRIDE`.
    """
    conv = SpectralNormConv1D if spectral_norm else layers.Conv1D
    inputs = keras.Input((None, bands))

    def block(hidden, kernel, strides=1, norm=batch_norm):
        hidden = conv(
            width,
            kernel,
            strides=strides,
            padding="same",
            use_bias=not norm,
            kernel_initializer="he_uniform",
        )(hidden)
        if norm:
            hidden = layers.BatchNormalization()(hidden)
        return layers.LeakyReLU(negative_slope=0.2)(hidden)

    whole = block(inputs, 3)
    half = block(whole, 9, 2)
    hidden = block(half, 7, 2)
    hidden = block(layers.UpSampling1D(2)(hidden), 7)
    hidden = layers.Concatenate()([hidden, half])
    hidden = block(layers.UpSampling1D(2)(hidden), 9, norm=False)
    hidden = layers.Concatenate()([hidden, whole])
    if residual:
        change = layers.Conv1D(bands, 1, kernel_initializer="zeros")(hidden)
        return keras.Model(inputs, layers.Add()([inputs, change]), name="generator")
    outputs = conv(bands, 1, activation="tanh", kernel_initializer="he_uniform")(hidden)
    return keras.Model(inputs, outputs, name="generator")


def critic(bands: int, width: int, spectral_norm: bool = True, name: str = "critic") -> keras.Model:
    """A network that gives a value to every fourth frame: how real what is around it looks.

    Args:
      bands: of the spectrograms.
      width: channels of each layer; 512 as published.
      spectral_norm: whether kernels are divided by their largest singular values.
      name: of the model.

    Returns:
      A model of float [batch, frames, bands] to [batch, frames / 4, 1].
    """
    conv = SpectralNormConv1D if spectral_norm else layers.Conv1D
    hidden = inputs = keras.Input((None, bands))
    for kernel, strides in ((3, 1), (9, 2), (7, 2)):
        hidden = conv(
            width, kernel, strides=strides, padding="same", kernel_initializer="he_uniform"
        )(hidden)
        hidden = layers.LeakyReLU(negative_slope=0.2)(hidden)
    outputs = conv(1, 3, padding="same", kernel_initializer="he_uniform")(hidden)
    return keras.Model(inputs, outputs, name=name)


def mean_absolute_error(estimate, reference):
    """The mean of absolute differences: a scalar."""
    return ops.mean(ops.abs(estimate - reference))
