import pytest

from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.strains import Sound
from tests.support.written_tunes import tune

EIGHTH = WHOLE // 8


def test_notes_that_are_tied_are_one():
    found = strains.sounds(tune("d3 a3-|a2z a3|"))
    assert found == [
        Sound(74, 3 * EIGHTH, 0, 0), Sound(81, 5 * EIGHTH, 0, 3 * EIGHTH),
        Sound(81, 3 * EIGHTH, 1, 3 * EIGHTH),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "full"),
    [
        ("d6|d6|", (2, 2)), ("d6|d5|d6|", (2, 3)), ("d6|d8|", (1, 2)),
        # A pickup and the bar that completes it; one without it.
        ("A|d6|d5|", (3, 3)), ("A|d6|d6|", (2, 3)), ("|:A|d6|d5:|:A|d6|d4:|", (4, 6)),
        # The bar before the endings is played with each of them.
        ("|:A|d6|[1d5:|[2d5|]", (6, 6)), ("|:A|d6|[1d5:|[2d6|]", (5, 6)),
    ],
)  # fmt: skip
def test_full_bars(body, full):
    assert strains.full_bars(tune(body)) == full


def test_bars_of_free_meter_are_not_counted():
    assert strains.full_bars(tune("d6|d5|", meter="none")) == (0, 0)


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ("d6|d6|", [(False, 2, ())]),
        ("|:A|d6|d5:|:A|d6|d6|d5:|", [(True, 2, ()), (True, 3, ())]),
        ("d6|d6||d6|", [(False, 2, ()), (False, 1, ())]),
        ("|:d6|[1d6:|[2d6|]|:d6:|", [(True, 2, (1, 1)), (True, 1, ())]),
        ("|:d6|[1d6|d6:|[2d6|d6|]", [(True, 3, (2, 2))]),
        ("d6|d5|", None), ("|:d6|[1d6|d6:|[2d6|]", None), ("d6|[M:9/8]d9|", None),
    ],
)  # fmt: skip
def test_the_shape_of_a_tune(body, shape):
    assert strains.shape(tune(body)) == shape
