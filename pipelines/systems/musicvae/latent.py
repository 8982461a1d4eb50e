"""Paths and means in a latent space."""

import numpy as np


def slerp(start: np.ndarray, end: np.ndarray, fraction: float) -> np.ndarray:
    """Spherical linear interpolation, as in `magenta.models.music_vae.music_vae_generate`.

    Where the two point the same way, or opposite ways, no single great circle goes through them,
    and Magenta's formula divides by zero; this takes the straight line.

    Args:
      start, end: vectors shaped [z_size].
      fraction: 0 gives `start`, 1 gives `end`.
    """
    norms = np.linalg.norm(start) * np.linalg.norm(end)
    if not norms:
        return (1 - fraction) * start + fraction * end
    omega = np.arccos(np.clip(np.dot(start, end) / norms, -1, 1))
    if np.sin(omega) < 1e-6:
        return (1 - fraction) * start + fraction * end
    return (np.sin((1 - fraction) * omega) * start + np.sin(fraction * omega) * end) / np.sin(omega)


def average(vectors: np.ndarray) -> np.ndarray:
    """The mean of latent vectors, as far from the origin as they are on average.

    The plain mean of vectors that point different ways is near the origin, where music is bland. Of
    two equally long vectors this is the midpoint of `slerp`. Where the plain mean is 0, it stays.

    Args:
      vectors: shaped [n, z_size].
    """
    mean = np.mean(vectors, axis=0)
    norm = np.linalg.norm(mean)
    if norm < 1e-6:
        return mean
    return mean * (np.linalg.norm(vectors, axis=1).mean() / norm)


def grid(corners: np.ndarray, number: int) -> np.ndarray:
    """A square between four latent vectors, by `slerp` in both dimensions.

    Args:
      corners: shaped [4, z_size]: top left, top right, bottom left, bottom right.
      number: points on each side, with its ends.

    Returns:
      An array shaped [number * number, z_size], row by row from the top.
    """
    top_left, top_right, bottom_left, bottom_right = corners
    fractions = np.linspace(0, 1, number)
    return np.array(
        [
            slerp(slerp(top_left, top_right, x), slerp(bottom_left, bottom_right, x), y)
            for y in fractions
            for x in fractions
        ]
    )
