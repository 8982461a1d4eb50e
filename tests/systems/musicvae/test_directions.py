"""The file of attributes, and how much of which attribute each piece of a series gets."""

import json

import numpy as np
import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import directions
from pipelines.systems.musicvae.directions import KINDS, Attribute, Directions


def attribute(*direction: float) -> Attribute:
    """One whose direction of each kind is `direction` times 1, 2, 3."""
    each = {kind: i * np.array(direction) for i, kind in enumerate(KINDS, start=1)}
    return Attribute(mean=20.0, sd=5.0, windows=7, held_out=0.5, directions=each)


@pytest.fixture
def found() -> Directions:
    made_for = {
        "config": "flat-groove_4bar",
        "checkpoint": "model.ckpt-7",
        "step": 7,
        "weights_sha256": "ab",
        "z_size": 3,
    }
    made_of = {"examples_path": "train*", "records": 2, "windows": 9}
    attributes = {"density": attribute(1, 0, 2), "style:jazz": attribute(0, -1, 1 / 3)}
    return Directions(made_for, made_of, attributes)


def test_the_file_is_read_back(found, tmp_path):
    directions.write(tmp_path / "a.json", found)
    read = directions.read(tmp_path / "a.json")
    assert (read.made_for, read.made_of) == (found.made_for, found.made_of)
    assert list(read.attributes) == ["density", "style:jazz"]
    for name, one in found.attributes.items():
        again = read.attributes[name]
        assert (again.mean, again.sd, again.windows, again.held_out) == (20, 5, 7, 0.5)
        for kind in KINDS:
            np.testing.assert_allclose(again.directions[kind], one.directions[kind], rtol=1e-5)


def test_a_size_that_is_written_otherwise_is_a_size(found, tmp_path):
    found.made_for["z_size"] = 3.0
    directions.write(tmp_path / "a.json", found)
    shift = directions.read(tmp_path / "a.json").shift({"density": 1}, "means")
    np.testing.assert_allclose(shift, [1, 0, 2])


def test_a_shift_is_the_sum_of_amounts_times_directions(found):
    # 2 x (1, 0, 2) - 3 x (0, -1, 1/3)
    shift = found.shift({"density": 2, "style:jazz": -3}, "means")
    np.testing.assert_allclose(shift, [2, 3, 3])
    np.testing.assert_allclose(found.shift({"density": 0.5}, "projected"), [1.5, 0, 3])
    opposite = found.shift({"density": -2, "style:jazz": 3}, "means")
    np.testing.assert_array_equal(opposite, -shift)
    assert not found.shift({"density": 0, "style:jazz": 0}, "probe").any()


@pytest.mark.parametrize(
    "attributes, amounts, expected",
    [
        (["swing"], ["1.5"], [{"swing": 1.5}]),
        (["swing"], ["-2..2"], [{"swing": -2}, {"swing": 0}, {"swing": 2}]),
        (["swing"], ["1..-1"], [{"swing": 1}, {"swing": 0}, {"swing": -1}]),
        (["swing"], ["-.5...5"], [{"swing": -0.5}, {"swing": 0}, {"swing": 0.5}]),
        (["a", "b:c"], ["1", "-1e1"], [{"a": 1, "b:c": -10}]),
        (["a", "b"], ["0..2", "3"], [{"a": 0, "b": 3}, {"a": 1, "b": 3}, {"a": 2, "b": 3}]),
        (["a", "b"], ["0..2", "1..0"], [{"a": 0, "b": 1}, {"a": 1, "b": 0.5}, {"a": 2, "b": 0}]),
        (["a"], ["2..2"], [{"a": 2}]),
    ],
)
def test_a_series(attributes, amounts, expected):
    assert directions.series(attributes, amounts, 3) == expected


@pytest.mark.parametrize(
    "attributes, amounts, message",
    [
        ([], [], "--mode=edit needs --attribute, such as"),
        (["swing"], [], "--attribute names 1 (swing), and --amount gives 0; give one for each"),
        (["a", "b"], ["1"], "--attribute names 2 (a, b), and --amount gives 1; give one for each"),
        (["a", "b", "a"], ["1"] * 3, "--attribute names a twice; name each once"),
        (["a"], ["much"], "--amount=much: must be a number or a range, in standard deviations"),
        (["a"], ["-2.."], "--amount=-2..: must be a number or a range"),
        (["a"], ["nan"], "--amount=nan: must be a number"),
        (["a"], ["0..inf"], "--amount=0..inf: must be a number"),
    ],
)
def test_what_is_wrong_with_a_series(attributes, amounts, message):
    with pytest.raises(UserError) as caught:
        directions.series(attributes, amounts, 5)
    assert str(caught.value).startswith(message)


def test_an_attribute_that_is_not_in_the_file(found):
    found.require(["style:jazz", "density"], "a.json")
    with pytest.raises(UserError) as caught:
        found.require(["jaz"], "a.json")
    assert str(caught.value) == (
        "a.json: no attribute 'jaz' in it; it has density, style:jazz; did you mean style:jazz?"
    )


def test_a_file_of_another_checkpoint(found):
    found.require_checkpoint("a.json", "run/train/model.ckpt-7", "ab")
    with pytest.raises(UserError) as caught:
        found.require_checkpoint("a.json", "run/train/model.ckpt-9", "cd")
    assert str(caught.value) == (
        "a.json: made for another checkpoint (flat-groove_4bar, model.ckpt-7) than "
        "run/train/model.ckpt-9; make it again with ./run.sh attributes, or name another file with "
        "--attributes_file"
    )


def break_it(content, path, value):
    """Puts a value into a place of nested JSON."""
    *folders, last = path
    for key in folders:
        content = content[key]
    content[last] = value


@pytest.mark.parametrize(
    "path, value, message",
    [
        (["format"], 2, "written by another version (format 2, not 1); make it again with ./run"),
        (["attributes"], None, "no file of attributes, or a damaged one (AttributeError"),
        (["made_for"], {}, "no file of attributes, or a damaged one (KeyError: 'z_size')"),
        (["made_for", "z_size"], float("inf"), "no file of attributes, or a damaged one (Overfl"),
        (["attributes", "density", "windows"], float("inf"), "no file of attributes, or a damaged"),
        (["attributes", "density", "sd"], "x", "no file of attributes, or a damaged one (Value"),
        (
            ["attributes", "density", "directions", "probe"],
            [1, 2],
            "no file of attributes, or a damaged one (ValueError: its direction 'probe' is not 3",
        ),
        (
            ["attributes", "density", "directions", "means"],
            [1, float("nan"), 2],
            "no file of attributes, or a damaged one (ValueError: its direction 'means' is not 3",
        ),
    ],
)
def test_a_damaged_file_is_one_line(found, tmp_path, path, value, message):
    file = tmp_path / "a.json"
    directions.write(file, found)
    content = json.loads(file.read_text())
    break_it(content, path, value)
    file.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        directions.read(file)
    assert str(caught.value).startswith(f"{file}: {message}")


@pytest.mark.parametrize("text", ["", "[1]", "\x00\x01", "[" * 9999])
def test_what_is_no_such_file_is_one_line(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match="no file of attributes, or a damaged one"):
        directions.read(tmp_path / "a.json")


def test_the_file_is_looked_for_in_order(tmp_path):
    for name in ("train", "other"):
        (tmp_path / name).mkdir()
    folders = [str(tmp_path / name) for name in ("train", "other")]
    with pytest.raises(UserError, match=r"train/attributes.json does not exist; ./run.sh attrib"):
        directions.find(folders)
    (tmp_path / "other" / "attributes.json").touch()
    assert directions.find(folders) == f"{folders[1]}/attributes.json"
    (tmp_path / "train" / "attributes.json").touch()
    assert directions.find(folders) == f"{folders[0]}/attributes.json"


def test_what_is_printed(found):
    assert directions.table(found) == [
        "density     mean   20.000  sd   5.000        7 windows  R2   0.50",
        "style:jazz  mean   20.000  sd   5.000        7 windows  AUC  0.50",
    ]
    said = directions.summary(found)
    assert said["made_for"] == found.made_for and said["made_of"] == found.made_of
    assert said["attributes"]["density"] == {"mean": 20, "sd": 5, "windows": 7, "held_out": 0.5}
    assert "directions" not in said["attributes"]["style:jazz"]
    assert found.attributes["density"].directions
