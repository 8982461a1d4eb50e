"""How sources are divided into batches for workers."""

import pytest

from pipelines.records import beam_batches
from pipelines.records.parts import read_batch


@pytest.mark.parametrize(
    "pieces, size",
    [
        (0, 25),
        (2_500, 25),  # a hundred batches of 25
        (2_600, 26),
        (200_000, 2_000),
        (10_000_000, 2_000),
    ],
)
def test_there_are_a_hundred_batches_unless_they_get_too_small_or_large(pieces, size):
    assert beam_batches.batch_size(pieces) == size


def test_workers_read_the_batches_that_are_written(tmp_path):
    batches = [[("a", {"line": 1}, 2), ("b\udcff", {}, 1)], [], [("ü", None, 3)]]
    names = beam_batches.write(tmp_path, iter(batches))
    assert len(set(names)) == 3
    # JSON has lists for tuples.
    assert [read_batch(tmp_path, name) for name in names] == [
        [["a", {"line": 1}, 2], ["b\udcff", {}, 1]],
        [],
        [["ü", None, 3]],
    ]


def test_batches_are_of_equal_weight(tmp_path):
    weights = [1] * 30 + [100, 3, 40, 1] + [1] * 30
    listed = [[f"s{i}", weight] for i, weight in enumerate(weights)]
    names = beam_batches.write(tmp_path, beam_batches.divide(listed, weights))
    batches = [read_batch(tmp_path, name) for name in names]
    assert [source for batch in batches for source in batch] == listed
    assert len(set(names)) == len(names)
    for batch in batches[:-1]:
        *others, last = [weight for _, weight in batch]
        assert sum(others) < 25 <= sum(others) + last
