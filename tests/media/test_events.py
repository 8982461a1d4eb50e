"""Curves from event files."""

import math

import numpy as np
import pytest
from tensorboard.plugins.text import summary_v2 as text

from pipelines.media import events
from tests.support import event_files


@pytest.mark.parametrize("tensors", [False, True])
def test_curves_are_those_that_tensorboard_reads(tmp_path, tensors):
    written = {"loss": {0: 9.5, 100: 4.25, 250: math.nan}, "a/b": {100: -1.0}}
    event_files.write(tmp_path, written, tensors)
    event_files.write_summaries(tmp_path, [(0, text.text_pb("words", "no number"))])
    found = events.read(tmp_path)
    assert set(found) == {"loss", "a/b"}
    np.testing.assert_array_equal(found["loss"].steps, [0, 100, 250])
    np.testing.assert_array_equal(found["loss"].values, [9.5, 4.25, math.nan])
    np.testing.assert_array_equal(found["a/b"], [[100], [-1.0]])

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    theirs = EventAccumulator(str(tmp_path))
    theirs.Reload()
    for tag, curve in found.items():
        points = theirs.Tensors(tag) if tensors else theirs.Scalars(tag)
        values = [point.tensor_proto.float_val[0] if tensors else point.value for point in points]
        assert [point.step for point in points] == curve.steps.tolist()
        np.testing.assert_array_equal(values, curve.values)


def test_a_run_that_went_on_replaces_what_it_took_again(tmp_path):
    event_files.write(tmp_path, {"loss": {0: 5.0, 100: 4.0, 200: 3.0, 300: 2.0}, "old": {300: 1.0}})
    # Killed at step 320, it went on from the checkpoint of step 150.
    event_files.write(tmp_path, {"loss": {250: 2.5, 350: 1.5}})
    found = events.read(tmp_path)
    assert found["loss"].steps.tolist() == [0, 100, 200, 250, 350]
    assert found["loss"].values.tolist() == [5.0, 4.0, 3.0, 2.5, 1.5]
    assert found["old"].steps.tolist() == [300]


@pytest.mark.parametrize("damage", ["cut short", "a byte", "no event", "empty"])
def test_of_a_damaged_file_the_beginning_is_read(tmp_path, capsys, damage):
    path = event_files.write(tmp_path, {"loss": {step: float(step) for step in range(10)}})
    data = path.read_bytes()
    if damage == "cut short":
        path.write_bytes(data[:-5])
    elif damage == "a byte":
        path.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    elif damage == "no event":
        from pipelines.records import tfrecord

        with path.open("ab") as file:
            tfrecord.write_record(file, b"\xff\xff\xff")
    else:
        path.write_bytes(b"")
    found = events.read(tmp_path)
    expected = {"cut short": 9, "a byte": 9, "no event": 10, "empty": 0}[damage]
    assert (found["loss"].steps.tolist() if found else []) == list(range(expected))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == (damage != "empty")
    assert all(line.startswith(f"warning: {path}: damaged") for line in said)


def test_a_folder_without_event_files_has_no_curve(tmp_path):
    assert events.read(tmp_path) == {}
    assert events.read(tmp_path / "none") == {}
