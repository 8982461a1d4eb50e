"""MelGAN-VC: unpaired transfer that keeps what pieces of a spectrogram have to do with each other.

Source: M. Pasini, "MelGAN-VC: Voice conversion and audio style transfer on arbitrarily long samples
using spectrograms", arXiv:1910.03713, 2019; the TraVeL loss is that of M. Amodio and S.
Krishnaswamy, "TraVeLGAN", 2019. The spectrogram of the source is split into three pieces, one after
the other; the generator makes each by itself, and the critic sees the three joined, so that joints
must not be heard. A siamese network places pieces in a space; the vector from a piece to another
must be that from what is made of the one to what is made of the other.

Generator and critic are those of `spectral_transfer`. Tensors are shaped [batch, frames, bands].
"""

import keras
from keras import layers, ops

PIECES = 3


def siamese(bands: int, frames: int, width: int, size: int, batch_norm: bool = True) -> keras.Model:
    """The network that gives a vector to a piece.

    Args:
      bands: of the spectrograms.
      frames: of a piece.
      width: channels of each layer; 256 as published.
      size: of the vector; 128 as published.
      batch_norm: whether each convolution normalizes the batch, as published.

    Returns:
      A model of float [batch, frames, bands] to [batch, size].
    """
    hidden = inputs = keras.Input((frames, bands))
    for kernel, strides in ((3, 1), (9, 2), (7, 2)):
        hidden = layers.Conv1D(
            width,
            kernel,
            strides=strides,
            padding="same",
            use_bias=not batch_norm,
            kernel_initializer="he_uniform",
        )(hidden)
        if batch_norm:
            hidden = layers.BatchNormalization()(hidden)
        hidden = layers.LeakyReLU(negative_slope=0.2)(hidden)
    return keras.Model(inputs, layers.Dense(size)(layers.Flatten()(hidden)), name="siamese")


def split(whole):
    """Cuts a spectrogram into `PIECES` of equal length.

    Args:
      whole: [batch, frames, bands]; the frames are a multiple of `PIECES`.

    Returns:
      [PIECES x batch, frames / PIECES, bands]: the first piece of all, then the second, ...
    """
    return ops.concatenate(ops.split(whole, PIECES, axis=1), axis=0)


def join(pieces):
    """The inverse of `split`."""
    return ops.concatenate(ops.split(pieces, PIECES, axis=0), axis=1)


def travel_loss(source, source_other, made, made_other):
    """How far vectors between pieces differ from those between what was made of these.

    Equation 4 of the paper: the squared Euclidean distance of the two vectors and their cosine
    distance. As in the author's program the former is a mean over the dimensions.

    Args:
      source, source_other: vectors of two pieces, float [batch, size].
      made, made_other: vectors of what was made of them.

    Returns:
      A scalar, not negative; 0 for equal vectors.
    """
    wanted, found = source - source_other, made - made_other
    euclidean = ops.mean(ops.square(wanted - found))
    cosine = ops.sum(ops.normalize(wanted, axis=-1) * ops.normalize(found, axis=-1), axis=-1)
    return euclidean + ops.mean(1 - cosine)


def margin_loss(source, source_other, margin: float):
    """Keeps the siamese network from giving all pieces the same vector.

    Equation 5 of the paper: what the distance of two pieces lacks of the margin.

    Args:
      source, source_other: vectors of two pieces, float [batch, size].
      margin: the distance that is enough.
    """
    distance = ops.sqrt(ops.sum(ops.square(source - source_other), axis=-1) + 1e-12)
    return ops.mean(ops.maximum(margin - distance, 0.0))


def critic_hinge_loss(real, made):
    """The hinge loss of the critic: real should get 1 or more, made -1 or less.

    Source: Lim and Ye, "Geometric GAN", 2017.
    """
    return (ops.mean(ops.maximum(1 - real, 0.0)) + ops.mean(ops.maximum(1 + made, 0.0))) / 2


def generator_hinge_loss(made):
    """What the generator adds: what it makes should get a high value."""
    return -ops.mean(made)
