"""Paths through a latent space."""

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
