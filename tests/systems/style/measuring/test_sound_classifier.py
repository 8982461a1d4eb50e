"""Which of two sounds a clip has, and a distance on what that looks at."""

import numpy as np
import pytest

from pipelines.systems.style.measuring.sound_classifier import SoundClassifier, frechet_distance


def clips(level: float, number: int, seed: int) -> list[np.ndarray]:
    """Mels whose upper half is as loud as a level says."""
    random = np.random.default_rng(seed)
    shape = np.repeat([-30.0, level], 96)
    return [random.normal(shape, 4, (50, 192)).astype(np.float32) for _ in range(number)]


def test_it_tells_sounds_that_it_has_not_heard():
    classifier = SoundClassifier(clips(-50, 20, 0), clips(-20, 20, 1))
    assert classifier.probabilities(clips(-50, 5, 2)).max() < 0.1
    assert classifier.probabilities(clips(-20, 5, 3)).min() > 0.9
    assert classifier.features(clips(-20, 5, 3)).shape[0] == 5


def test_few_clips():
    classifier = SoundClassifier(clips(-50, 1, 0), clips(-20, 1, 1))
    low, high = (classifier.probabilities(clips(level, 1, 2))[0] for level in (-50, -20))
    assert 0 < low < high < 1


def test_frechet_distance_by_hand():
    # Corners of a square have means 0 and, with n - 1, variances 4/3. Twice as large and moved by
    # (3, 4): 25 + 2 (4/3 + 16/3 - 2 sqrt(64/9)) = 25 + 8/3.
    square = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert frechet_distance(square, square) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(square, 2 * square + [3, 4]) == pytest.approx(25 + 8 / 3)
    # Covariances of less than full rank.
    line = square[:, :1] * [1.0, 2.0]
    assert frechet_distance(line, line + 1) == pytest.approx(2, abs=1e-4)
