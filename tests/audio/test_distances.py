"""Distances of spectrograms, on values worked out by hand."""

import math

import numpy as np
import pytest

from pipelines.audio import distances


def test_log_spectral_distance_by_hand():
    reference = np.array([[1.0, 1.0], [1.0, 1.0]])
    # The first frame differs by 20 dB in one of two bins: sqrt((400 + 0) / 2) = 14.142. The second
    # is equal. Their mean is 7.071.
    estimate = np.array([[10.0, 1.0], [1.0, 1.0]])
    assert distances.log_spectral_distance(estimate, reference) == pytest.approx(math.sqrt(200) / 2)
    # Twice as loud is 6.02 dB away, whichever of the two is the reference.
    assert distances.log_spectral_distance(2 * reference, reference) == pytest.approx(6.0206, 1e-4)
    assert distances.log_spectral_distance(reference, 2 * reference) == pytest.approx(6.0206, 1e-4)
    assert distances.log_spectral_distance(reference, reference) == 0


def test_log_spectral_distance_of_silence():
    # 0 in the second bin counts as 80 dB under the loudest: sqrt((0 + 80**2) / 2) = 56.57.
    reference, estimate = np.array([[1.0], [1.0]]), np.array([[1.0], [0.0]])
    found = distances.log_spectral_distance(estimate, reference)
    assert found == pytest.approx(80 / math.sqrt(2))
    found = distances.log_spectral_distance(estimate, reference, floor_db=40)
    assert found == pytest.approx(40 / math.sqrt(2))


def test_spectral_convergence_by_hand():
    reference = np.array([[3.0], [4.0]])  # Its norm is 5.
    # The difference is (0, 0.5), with the norm 0.5: 20 log10(0.5 / 5) = -20.
    assert distances.spectral_convergence(np.array([[3.0], [4.5]]), reference) == pytest.approx(-20)
    assert distances.spectral_convergence(0 * reference, reference) == pytest.approx(0)
    assert distances.spectral_convergence(reference, reference) == -math.inf


@pytest.mark.parametrize(
    "distance", [distances.log_spectral_distance, distances.spectral_convergence]
)
def test_what_cannot_be_compared(distance):
    with pytest.raises(ValueError, match="differ"):
        distance(np.ones((2, 3)), np.ones((3, 2)))
    for silent in (np.zeros((2, 3)), np.ones((2, 0))):
        with pytest.raises(ValueError, match="silent"):
            distance(silent, silent)


def test_decibel_distance_by_hand():
    # Frames differ by 3 and 4 dB, and by nothing: (sqrt((9 + 16) / 2) + 0) / 2 = 1.7678.
    estimate, reference = np.array([[3.0, -4.0], [1.0, 1.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])
    assert distances.decibel_distance(estimate, reference) == pytest.approx(math.sqrt(12.5) / 2)
    assert distances.decibel_distance(reference, reference) == 0
