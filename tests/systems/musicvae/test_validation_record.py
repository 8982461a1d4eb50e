"""The record of validation: which loss is the best, when to stop, what a kill leaves of it."""

import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import validation_record
from pipelines.systems.musicvae.validation_record import Measured


def record_of(folder, losses, windows="w"):
    record = validation_record.read(folder, windows, None)
    better = [record.add(step, loss) for step, loss in losses]
    record.save()
    return record, better


LOSSES = [(0, 9.0), (10, 5.0), (20, 4.0), (30, 4.0), (40, 4.5)]


def test_the_best_is_the_first_of_the_lowest(tmp_path):
    record, better = record_of(tmp_path, LOSSES)
    assert better == [True, True, True, False, False]
    assert record.best == Measured(20, 4.0)
    assert record.without_improvement == 2
    assert [record.exhausted(patience) for patience in (1, 2, 3, None)] == [
        True,
        True,
        False,
        False,
    ]


def test_it_is_read_as_it_was(tmp_path):
    record, _ = record_of(tmp_path, LOSSES)
    assert validation_record.read(tmp_path, "w", 40) == record
    assert validation_record.read(tmp_path, "w", 49) == record


def test_a_kill_takes_back_what_was_measured_after_the_last_checkpoint(tmp_path):
    record_of(tmp_path, LOSSES)
    record = validation_record.read(tmp_path, "w", 35)
    assert record.history == [Measured(*each) for each in LOSSES[:4]]
    assert (record.best, record.without_improvement) == (Measured(20, 4.0), 1)


@pytest.mark.parametrize("replayed", [True, False])
def test_a_best_step_beyond_the_last_checkpoint_stays_the_best(tmp_path, replayed):
    """The checkpoint of step 20 is there, but training goes on from step 10."""
    record_of(tmp_path, LOSSES)
    record = validation_record.read(tmp_path, "w", 10)
    assert record.best == Measured(20, 4.0) and not record.without_improvement
    # The same steps again give the same losses, and stop where they would have without a kill.
    later = LOSSES[2:] if replayed else [(20, 4.1), (30, 4.2), (40, 4.3)]
    assert not any(record.add(*each) for each in later)
    assert record.without_improvement == 2
    assert record.add(50, 3.9)
    assert (record.best, record.without_improvement) == (Measured(50, 3.9), 0)


def test_a_new_run_begins_anew(tmp_path):
    record_of(tmp_path, LOSSES)
    record = validation_record.read(tmp_path, "w", None)
    assert (record.history, record.best) == ([], None)


def test_losses_of_other_windows_are_not_compared(tmp_path, capsys):
    record_of(tmp_path, LOSSES)
    record = validation_record.read(tmp_path, "others", 40)
    assert (record.history, record.best) == ([], None)
    assert "history.json is of other held-out windows" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"windows": "w", "history": [1], "best": 0}',
        '{"windows": "w", "history": [[1e999, 1.0]], "best": null}',
        # Nothing would be better than a best loss of NaN, or everything.
        '{"windows": "w", "history": [], "best": [10, NaN]}',
    ],
)
def test_a_damaged_record_is_named(tmp_path, content):
    (tmp_path / "history.json").write_text(content)
    with pytest.raises(UserError, match=r"history\.json: damaged .*remove it"):
        validation_record.read(tmp_path, "w", 10)
