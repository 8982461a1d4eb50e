"""How far one sound is from another, by their spectrograms.

Both distances take magnitudes of equal shape, [bins, frames], which say nothing of phases.
"""

import numpy as np

_FLOOR_DB = 80.0


def log_spectral_distance(
    estimate: np.ndarray, reference: np.ndarray, floor_db: float = _FLOOR_DB
) -> float:
    """The mean over frames of the root mean square, over bins, of the difference in dB.

    Source: Gray and Markel, "Distance measures for speech processing", 1976. What is more than
    `floor_db` below the loudest bin of the reference counts as just that, so that silence, which is
    minus infinity dB, has a distance.

    Args:
      estimate, reference: magnitudes, [bins, frames].
      floor_db: in dB, positive.

    Returns:
      dB; 0 for equal spectrograms.

    Raises:
      ValueError: where the shapes differ, or the reference is silent or has no frames.
    """
    _require_comparable(estimate, reference)
    floor = reference.max() * 10 ** (-floor_db / 20)
    ratio = np.maximum(estimate, floor) / np.maximum(reference, floor)
    return decibel_distance(20 * np.log10(ratio.astype(np.float64)).T, np.zeros(1))


def decibel_distance(estimate: np.ndarray, reference: np.ndarray) -> float:
    """The mean over frames of the root mean square, over bands, of the difference.

    Args:
      estimate, reference: dB, [frames, bands].

    Returns:
      dB; 0 for equal spectrograms.
    """
    difference = estimate.astype(np.float64) - reference
    return float(np.sqrt(np.square(difference).mean(axis=1)).mean())


def spectral_convergence(estimate: np.ndarray, reference: np.ndarray) -> float:
    """The energy of the difference of two spectrograms, relative to the reference's.

    Source: Sturmel and Daudet, "Signal reconstruction from STFT magnitude: a state of the art",
    2011.

    Args:
      estimate, reference: magnitudes, [bins, frames].

    Returns:
      dB, the lower the better; 0 for an estimate that is silent, minus infinity for an equal one.

    Raises:
      ValueError: where the shapes differ, or the reference is silent or has no frames.
    """
    _require_comparable(estimate, reference)
    difference = np.linalg.norm(estimate.astype(np.float64) - reference)
    with np.errstate(divide="ignore"):
        return float(20 * np.log10(difference / np.linalg.norm(reference.astype(np.float64))))


def _require_comparable(estimate: np.ndarray, reference: np.ndarray) -> None:
    if estimate.shape != reference.shape:
        raise ValueError(f"spectrograms of shapes {estimate.shape} and {reference.shape} differ")
    if not reference.size or not reference.max() > 0:
        raise ValueError("the reference is silent")
