"""Directions of attributes in latent spaces that are small enough to work out by hand."""

import itertools

import numpy as np
import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import probes

# Ten pieces of the same 100 windows at the corners of a box: z has mean 0, variances 4, 1 and 0.25,
# and no covariance.
_CORNERS = np.array(list(itertools.product((-2, 2), (-1, 1), (-0.5, 0.5))), float)
Z = np.tile(_CORNERS, (125, 1))
PIECES = np.repeat(np.arange(10), 100)
X, Y, W = Z.T


def fit(**values):
    return probes.fit(Z, values, PIECES)


def test_directions_of_a_linear_attribute():
    """For a = 3 + x + y, covariance times coefficients is (4, 1, 0), and var a = 4 + 1 = 5.

    The coefficients are (1, 1, 0) / sd of a, so (4, 1, 0) is scaled by sd / 5. The top quarter is
    x = 2, y = 1 and the bottom one x = -2, y = -1: the difference (4, 2, 0), scaled by sd / 6.
    """
    found = fit(a=3 + X + Y)["a"]
    sd = np.sqrt(5)
    assert found.mean == pytest.approx(3) and found.sd == pytest.approx(sd)
    assert found.windows == 1000 and found.held_out == pytest.approx(1, abs=1e-4)
    near = dict(rtol=0.01, atol=0.01)
    np.testing.assert_allclose(found.directions["probe"], np.array([4, 1, 0]) * sd / 5, **near)
    np.testing.assert_allclose(found.directions["means"], np.array([4, 2, 0]) * sd / 6, **near)
    # There is no other attribute to leave alone.
    np.testing.assert_allclose(
        found.directions["projected"], found.directions["probe"], rtol=1e-6, atol=1e-9
    )


def test_an_amount_of_one_is_one_standard_deviation():
    for value in (3 + X + Y, 10 * Y, X - 4 * W):
        for direction in fit(a=value)["a"].directions.values():
            moved = {tuple(z): a for z, a in zip(Z, value)}
            # The attribute is linear: what a step along the axes changes is known from the corners.
            slope = [
                (moved[tuple(corner)] - moved[tuple(corner * sign)]) / (2 * corner[i])
                for i, corner in enumerate(np.tile(_CORNERS[-1], (3, 1)))
                for sign in [np.where(np.arange(3) == i, -1, 1)]
            ]
            assert slope @ direction == pytest.approx(value.std(), rel=0.01)


def test_the_projection_leaves_the_other_attributes_alone():
    """a = x + y and b = y: a moves along x alone; b moves y up and x down, so that a stays."""
    found = fit(a=X + Y, b=Y)
    sd = np.sqrt(5)
    np.testing.assert_allclose(found["a"].directions["projected"], [sd, 0, 0], rtol=0.01, atol=0.01)
    np.testing.assert_allclose(found["b"].directions["projected"], [-1, 1, 0], rtol=0.01, atol=0.01)
    # Along the probe of a, b moves with it: by 1 of the 5 parts of the variance.
    assert found["a"].directions["probe"][1] == pytest.approx(sd / 5, rel=0.01)


def test_equal_attributes_cannot_be_told_apart_and_share_a_direction():
    found = fit(a=X, b=X)
    for name in "ab":
        direction = found[name].directions["projected"]
        assert np.isfinite(direction).all()
        np.testing.assert_allclose(direction, [2, 0, 0], rtol=0.01, atol=0.01)


def test_windows_without_a_value_are_left_out():
    """The swing of windows without hi-hat: NaN where w < 0, so that half of them count."""
    found = fit(a=np.where(W > 0, X, np.nan))["a"]
    assert found.windows == 500 and found.mean == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(found.directions["probe"], [2, 0, 0], rtol=0.01, atol=0.01)


def test_an_attribute_that_most_windows_lack():
    """An eighth of the windows has 1: the two groups are those with it and those without."""
    rare = (np.arange(len(Z)) % 8 == 7).astype(float)  # The corner (2, 1, 0.5).
    found = fit(a=rare)["a"]
    # The mean of the seven other corners is minus a seventh of the corner.
    direction = found.directions["means"]
    np.testing.assert_allclose(direction / direction[0], [1, 0.5, 0.25], rtol=1e-6)


def test_a_label_moves_its_log_odds_by_their_standard_deviation():
    """Logistic regression of x > 0 has coefficients (c, 0, 0): log odds with the deviation 2 c."""
    rng = np.random.default_rng(0)
    label = X + rng.normal(0, 1, len(X)) > 0
    found = fit(**{"style:a": label})["style:a"]
    assert found.windows == label.sum() and 0.9 < found.held_out < 1
    for kind in ("means", "probe", "projected"):
        np.testing.assert_allclose(found.directions[kind][0], 2, rtol=0.05)
    # c is positive, so 2 is towards the label.
    assert found.mean == pytest.approx(0, abs=0.2) and found.sd > 1


def test_probes_are_judged_on_other_pieces():
    """What is in z alone by the piece, and not by the attribute, helps no other piece."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1000, 20)) * 0.01
    z += rng.normal(size=(10, 20))[PIECES]
    of_piece = rng.normal(size=10)[PIECES]
    assert probes.fit(z, {"a": of_piece}, PIECES)["a"].held_out < 0.3
    by_half = {"style:a": PIECES < 5}
    assert probes.fit(z, by_half, PIECES)["style:a"].held_out < 0.9


def test_amounts_in_other_units():
    """What is played varies half as much as the music: twice the way is one unit of the music."""
    played, music = X / 2, 10 + 2 * X
    found = probes.fit(Z, {"a": played}, PIECES, {"a": music})["a"]
    assert found.mean == pytest.approx(10) and found.sd == pytest.approx(4)
    # x has the deviation 2, x / 2 changes by 4 where x changes by 8.
    for kind in ("means", "probe", "projected"):
        np.testing.assert_allclose(found.directions[kind], [8, 0, 0], rtol=0.01, atol=0.01)
    with pytest.raises(UserError, match="a: all windows have the same value, 3"):
        probes.fit(Z, {"a": played}, PIECES, {"a": np.full(1000, 3.0)})


def test_a_model_that_was_hardly_trained_is_told_to_be():
    """It plays nothing, where the music has something."""
    with pytest.raises(UserError) as caught:
        probes.fit(Z, {"a": np.zeros(1000)}, PIECES, {"a": X})
    assert str(caught.value) == (
        "a: in what the model makes of the windows, all windows have the same value, 0; train it "
        "for more steps, or leave it out of --attributes"
    )


@pytest.mark.parametrize(
    "value, message",
    [
        (
            np.full(1000, 7.0),
            "a: all windows have the same value, 7; give other music, or leave it",
        ),
        (
            np.where(PIECES < 4, X, np.nan),
            "a: 4 pieces have something to measure, and 5 are needed; give other music",
        ),
        (np.full(1000, np.nan), "a: 0 pieces have something to measure"),
        (PIECES < 1, "a: 1 pieces are on one side of it, and 2 are needed; give other music"),
        (PIECES < 10, "a: 0 pieces are on one side of it, and 2 are needed; give other music"),
    ],
)
def test_too_little_to_fit(value, message):
    with pytest.raises(UserError) as caught:
        fit(a=value)
    assert str(caught.value).startswith(message)
