"""CycleGAN: two generators, there and back, and two critics.

Source: Zhu et al., "Unpaired image-to-image translation using cycle-consistent adversarial
networks", 2017, with the critics of Gulrajani et al., "Improved training of Wasserstein GANs",
2017: no spectral norm, a gradient penalty. The generators are those of `spectral_transfer`.
"""

from keras import ops


def gradient_penalty(gradients):
    """How far the slope of a critic is from 1: the mean of (|gradient| - 1) squared.

    Equation 3 of Gulrajani et al.

    Args:
      gradients: of the critic's values by its inputs, [batch, frames, bands].
    """
    norms = ops.sqrt(ops.sum(ops.square(gradients), axis=(1, 2)) + 1e-12)
    return ops.mean(ops.square(norms - 1))


def between(real, made, shares):
    """Points between real and made, where the slope is looked at.

    Args:
      real, made: [batch, frames, bands].
      shares: how much of the real each has, [batch], from 0 to 1.
    """
    shares = ops.reshape(shares, (-1, 1, 1))
    return shares * real + (1 - shares) * made


def critic_loss(real, made):
    """The loss of a Wasserstein critic without its penalty."""
    return ops.mean(made) - ops.mean(real)


def identity_weight(step, weight: float, steps: float):
    """The weight of the identity loss, which falls to 0 along a line in so many steps."""
    return weight * ops.maximum(1 - ops.cast(step, "float32") / steps, 0.0)


def adversarial_weight(step, steps: float):
    """The weight of what the critics say to the generators, which rises to 1 in so many steps.

    While it is small the generators learn to change nothing, and the critics learn first.
    """
    return ops.minimum(ops.cast(step, "float32") / steps, 1.0)
