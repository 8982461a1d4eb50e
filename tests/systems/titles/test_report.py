"""What people see of an evaluation: the tables, the file and TensorBoard's numbers."""

import json

import pytest
import tensorflow as tf

from pipelines.systems.titles import evaluation, report
from pipelines.systems.titles.candidates import DIRECTIONS
from tests.support.scorers import NOTHING, Noise, Perfect, many

pytestmark = pytest.mark.keras3

AS_THEY_ARE = "titles_as_they_are"


@pytest.fixture(scope="module")
def result():
    """The evaluation of a scorer that knows every title, and of one that knows none."""
    scorers = {"towers": Perfect(), "random": Noise(0)}
    return evaluation.evaluate(scorers, many(30), NOTHING, resamples=50)


def test_the_table(result):
    lines = report.table(result).split("\n")
    assert lines[0] == "30 tunes of 2 sources, 30 titles."
    at = lines.index("Tune to title: 30 queries, 30.0 of 30 candidates ranked on average.")
    assert lines[at + 2].startswith(
        "| | MRR | R@1 | R@5 | R@10 | R@100 | median rank | MRR of towers"
    )
    assert lines[at + 4].startswith("| towers | 1.000 (1.000 to 1.000) | 1.000 (1.000 to 1.000) |")
    less = result["sections"][AS_THEY_ARE]["tune_to_title"]["differences"]["towers - random"]
    cell = f"{less['value']:.3f} ({less['low']:.3f} to {less['high']:.3f})"
    assert lines[at + 5].startswith("| random | ") and lines[at + 5].endswith(f"| {cell} |")
    # Four sections of two tables; in each all rows have as many cells.
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 8 * 4 and {row.count("|") for row in rows} == {9}
    # From JSON and back it is the same.
    assert report.table(json.loads(json.dumps(result))) == "\n".join(lines)


def test_the_file_and_tensorboard_have_the_same_numbers(result, tmp_path):
    report.write(str(tmp_path), "records/some test.tfrecord*", result)
    (path,) = (tmp_path / "eval").glob("*.json")
    assert path.stem.startswith("some-test-")
    assert json.loads(path.read_text()) == result
    shown = {}
    for events in (tmp_path / "eval").glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(events)):
            for value in event.summary.value:
                shown[value.tag] = float(tf.make_ndarray(value.tensor))
    assert shown == {
        f"{path.stem}/{section}/{direction}/MRR/{scorer}": pytest.approx(values["MRR"]["value"])
        for section, both in result["sections"].items()
        for direction in DIRECTIONS
        for scorer, values in both[direction]["scorers"].items()
    }


def test_splits_of_other_folders_do_not_replace_each_other(result, tmp_path):
    for folder in ("one", "two", "one"):
        report.write(str(tmp_path), f"{folder}/test.tfrecord*", result)
    report.write(str(tmp_path), "*", result)
    names = sorted(path.name.rpartition("-")[0] for path in (tmp_path / "eval").glob("*.json"))
    assert names == ["records", "test", "test"]
