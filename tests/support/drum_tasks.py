"""The tasks of GrooVAE, and how often hits are left out of their inputs."""

import numpy as np

# The tasks that draw nothing at random, as arguments of the converter.
TASKS = [
    dict(humanize=True),
    dict(tapify=True),
    dict(fixed_velocities=True),
    dict(tapify=True, fixed_velocities=True),
    dict(tapify=True, humanize=True),
]

# Velocities of the nine classes of drums: the softer, the more often dropped.
DROPPED_VELOCITIES = (127, 115, 102, 90, 75, 60, 40, 20, 1)


def check_dropout(kept, most):
    """Asserts that hits were left out as often as they should be.

    Args:
      kept: bool array shaped [windows, 16, 9], of hits with DROPPED_VELOCITIES.
      most: the max_note_dropout_probability.
    """
    # A window's p is uniform between 0 and `most`: its mean is most / 2, its deviation
    # most / sqrt(12). A hit of weight w is lost with w p; of a window's 16 alike the fraction that
    # is lost deviates, by the law of total variance, by the root of
    # w^2 most^2 / 12 + E[w p (1 - w p)] / 16.
    lost = 1 - kept.mean(axis=1)
    weights = np.maximum(0.2, 1 - np.array(DROPPED_VELOCITIES) / 127)
    mean = weights * most / 2
    deviation = np.sqrt((weights * most) ** 2 / 12 + (mean - weights**2 * most**2 / 3) / 16)
    error = np.abs(lost.mean(axis=0) - mean)
    assert (error < 4 * deviation / np.sqrt(len(kept))).all()
    np.testing.assert_allclose(lost.std(axis=0), deviation, rtol=0.15)
    # What the soft ones lost tells each window's p: it is as often in each quarter of its range, to
    # four standard deviations of a binomial.
    estimates = (1 - kept[:, :, 4:]).sum(axis=(1, 2)) / (16 * weights[4:].sum())
    quarters, _ = np.histogram(estimates, [-1, most / 4, most / 2, most * 3 / 4, 2])
    expected = len(kept) / 4
    assert (np.abs(quarters - expected) < 4 * np.sqrt(expected * 3 / 4)).all()
