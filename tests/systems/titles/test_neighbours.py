"""What `match` and `search` add to the towers' cosine, against figures worked out by hand."""

import json

import numpy as np
import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.titles import baselines, neighbours
from pipelines.systems.titles.neighbours import Near, Neighbours, Titles, Together

pytestmark = pytest.mark.keras3

# A scale, the same in longer notes, broken chords, and the scale with other last notes.
SCALE = np.array([(0, 6), (2, 6), (4, 6), (5, 6), (7, 6), (9, 6), (11, 6), (0, 6)])
SLOW = SCALE + [0, 3]
CHORDS = np.array([(0, 6), (4, 6), (7, 6), (4, 6), (0, 6), (5, 6), (9, 6), (5, 6)])
NEARLY = np.concatenate([SCALE[:6], [(4, 9), (0, 15)]])
BOOK = {"a": SCALE, "b": SLOW, "c": CHORDS, "d": NEARLY}


def bag_of(*words):
    return lambda texts: np.array(
        [[text.split().count(word) for word in words] for text in texts], np.float32
    )


def entries():
    """The index of a run of the four tunes, as it is read back from JSON."""
    among = Neighbours(list(BOOK), list(BOOK.values()))
    near = among.nearest(list(BOOK.values()), list(BOOK))
    fields = zip(BOOK, BOOK.values(), neighbours.near_fields(near), strict=True)
    return [
        json.loads(
            json.dumps(
                {"id": name, "titles": [f"The {name * 4} Reel"]}
                | neighbours.melody_field(melody)
                | field
            )
        )
        for name, melody, field in fields
    ]


def test_titles_of_neighbours_by_hand():
    titles = Titles(
        [["silver stream"], ["golden bell", "golden"]], bag_of("silver", "golden", "stream", "bell")
    )
    near = Near(np.array([[0, 1], [1, 0]]), np.array([[1, 0.5], [0.5, 0]]))
    found = titles.scores(near, titles.vectors(["golden bell", "silver", "golden"]))
    # Weights are squares: 1 and 0.25 of 1.25, then all on the second tune. Its better title counts.
    half = np.sqrt(0.5)
    expected = [[0.2, 0.8 * half, 0.2], [1, 0, 1]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_tune_is_not_its_own_neighbour():
    among = Neighbours(list(BOOK), list(BOOK.values()))
    itself = among.nearest([SCALE])
    assert itself.rows[0, 0] == 0 and itself.cosines[0, 0] == pytest.approx(1)
    near = among.nearest([SCALE, CHORDS], ["a", "another"])
    # Only the nearly same tune has notes of the same length in common with the scale.
    assert near.rows[0, 0] == 3 and 0.2 < near.cosines[0, 0] < 1
    assert not near.cosines[0, 1:].any()
    assert near.rows[1, 0] == 2 and near.cosines[1, 0] == pytest.approx(1)


def test_an_index_keeps_what_similar_tunes_are_found_by():
    kept = entries()
    again = neighbours.read_neighbours(kept)
    among = Neighbours(list(BOOK), list(BOOK.values()))
    for melody in BOOK.values():
        for one, other in zip(again.nearest([melody]), among.nearest([melody]), strict=True):
            np.testing.assert_array_equal(one, other)
    near = neighbours.read_near(kept, 4)
    expected = among.nearest(list(BOOK.values()), list(BOOK))
    np.testing.assert_allclose(near.cosines[:, :3], expected.cosines[:, :3], atol=1e-6)
    assert near.rows[0, 0] == 3 and near.rows[3, 0] == 0
    titles = neighbours.read_titles(kept)
    # The scale is like "dddd" alone, whose title is the text.
    found = titles.scores(near, titles.vectors(["the dddd reel", "nothing alike"]))
    np.testing.assert_allclose(found[0], [1, 0], atol=1e-9)


def test_an_index_of_an_earlier_version_has_none_of_it():
    old = [{"id": "a", "titles": ["The Goose"]}]
    assert neighbours.read_neighbours(old) is None
    assert neighbours.read_titles(old) is None
    assert neighbours.read_near(old, 1) is None


@pytest.mark.parametrize(
    "field, value",
    [
        ("melody", 7),
        ("melody", "0g"),
        ("titles", [3]),
        ("titles", []),
        ("titles", None),
        ("near", [[4, 0.5]]),
        ("near", [[-1, 0.5]]),
        ("near", [[0, 1.5]]),
        ("near", [[0, float("nan")]]),
        ("near", [[0, float("inf")]]),
        ("near", [[0]]),
        ("near", "0"),
        ("near", {"0": 1}),
        ("near", [["a", "b"]]),
        ("near", None),
    ],
)
def test_a_damaged_index_is_one_error(field, value):
    damaged = entries()
    damaged[1][field] = value
    with pytest.raises(UserError, match="the index of tunes is damaged"):
        neighbours.read_neighbours(damaged)
        neighbours.read_titles(damaged)
        neighbours.read_near(damaged, 4)


def test_both_together_are_a_sum():
    first, second = baselines.Random(1), baselines.Random(2)
    tunes, texts = [None] * 3, ["x"] * 4
    expected = first.scores(tunes, texts) + 10 * second.scores(tunes, texts)
    np.testing.assert_allclose(Together(first, second).scores(tunes, texts), expected)
