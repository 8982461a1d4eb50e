"""The file of a model's weights: float16, checked by its sha256, and one line where it is bad."""

import hashlib
import json
import re

import numpy as np
import pytest
import safetensors.numpy

from pipelines.exported import weights
from pipelines.runtime.app import UserError

TENSORS = {
    "decoder/kernel": np.array([[1 / 3, -2.0], [65504.0, 0.0]], np.float32),
    "encoder/bias": np.array([0.5], np.float32),
}


@pytest.fixture
def path(tmp_path):
    weights.write(tmp_path / "weights.safetensors", TENSORS, "flat-groove_4bar", 7)
    return tmp_path / "weights.safetensors"


def test_the_file_is_laid_out_as_safetensors_says(path):
    """Eight bytes of length, a header in JSON, and the numbers, little-endian, in a row."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    numbers = content[8 + length :]
    # 1/3 is nearest to 1365 * 2**-12 in float16, and 65504 is its largest number.
    assert numbers == np.array([0x3555, 0xC000, 0x7BFF, 0, 0x3800], "<u2").tobytes()
    assert header["decoder/kernel"] == {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}
    assert json.loads(header["__metadata__"]["reelgroove"]) == {
        "config": "flat-groove_4bar",
        "step": 7,
        "sha256": hashlib.sha256(numbers).hexdigest(),
    }


def test_what_was_written_is_read(path):
    read = weights.read(path)
    assert (read.config, read.step) == ("flat-groove_4bar", 7)
    assert read.tensors["decoder/kernel"].tolist() == [[1365 / 4096, -2.0], [65504.0, 0.0]]
    assert read.tensors["encoder/bias"].dtype == np.float16


def test_the_same_weights_give_the_same_bytes(path, tmp_path):
    for n in range(8):
        weights.write(tmp_path / str(n), dict(reversed(TENSORS.items())), "flat-groove_4bar", 7)
        assert (tmp_path / str(n)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "number, shown", [(65520.0, "65520"), (-1e6, "1e+06"), (np.inf, "inf"), (np.nan, "nan")]
)
def test_what_float16_cannot_hold_is_refused(number, shown, path):
    before = path.read_bytes()
    with pytest.raises(UserError) as error:
        weights.write(path, {"fine": np.ones(2), "decoder/bias": np.array([1.0, number])}, "x", 1)
    assert f"cannot hold decoder/bias, whose largest number is {shown}: " in str(error.value)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("number", [65519.0, -65519.0])
def test_what_is_rounded_to_the_largest_number_is_held(number, tmp_path):
    weights.write(tmp_path / "w", {"x": np.array([number])}, "x", 1)
    assert abs(weights.read(tmp_path / "w").tensors["x"][0]) == 65504


@pytest.mark.parametrize(
    "spoil, message",
    [
        (
            lambda content: b"",
            r"truncated, damaged or no safetensors file \(.*too small\); copy it",
        ),
        (lambda content: b"<html>" * 99, "truncated, damaged or no safetensors file"),
        (lambda content: content[:-1], "truncated, damaged or no safetensors file"),
        (lambda content: content[:40], "truncated, damaged or no safetensors file"),
        (lambda content: content + b"\0", "truncated, damaged or no safetensors file"),
        (lambda content: content[:-1] + b"\x39", "damaged: its numbers have the sha256 .*; copy"),
        (lambda content: content.replace(b"F16", b"I16"), "decoder/kernel is of the type I16"),
        (lambda content: content.replace(b"reelgroove", b"realgroove"), "does not say its config"),
        (lambda content: content.replace(b'\\"step\\": 7', b'\\"step\\": x'), "does not say its"),
        (lambda content: content.replace(b'\\"step\\": 7', b'\\"stop\\": 7'), "does not say its"),
    ],
)
def test_a_bad_file_is_named_in_one_line(spoil, message, path):
    content = path.read_bytes()
    spoilt = spoil(content)
    assert spoilt != content
    path.write_bytes(spoilt)
    with pytest.raises(UserError, match=message) as error:
        weights.read(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_other_safetensors_files_are_no_weights(tmp_path):
    safetensors.numpy.save_file({"x": np.ones(2, np.float32)}, tmp_path / "other")
    with pytest.raises(UserError, match=r"other: does not say .*, so \./run\.sh pretrained export"):
        weights.read(tmp_path / "other")


def test_numbers_that_numpy_does_not_have_are_refused(tmp_path):
    header = b'{"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    (tmp_path / "bf16").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(UserError, match="bf16: has numbers of the type BF16, so"):
        weights.read(tmp_path / "bf16")


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    tensors = {"x": np.array([np.nan], np.float16)}
    sha256 = hashlib.sha256(tensors["x"].tobytes()).hexdigest()
    facts = json.dumps({"config": "x", "step": 1, "sha256": sha256})
    safetensors.numpy.save_file(tensors, tmp_path / "nan", {"reelgroove": facts})
    with pytest.raises(UserError, match=re.escape("nan: x has numbers that are not finite")):
        weights.read(tmp_path / "nan")
