"""What is said where there is no TPU, or none that TensorFlow can use."""

import pytest

from pipelines.runtime import tpus
from pipelines.runtime.app import UserError


def test_without_a_device_there_is_a_way_out(monkeypatch):
    monkeypatch.setattr(tpus.glob, "glob", lambda pattern: [])
    with pytest.raises(UserError, match="no TPU here.*TPU VM.*--strategy=compiled"):
        tpus.require()


def test_a_tpu_needs_its_library(monkeypatch):
    monkeypatch.setattr(tpus.glob, "glob", lambda pattern: [pattern])
    with pytest.raises(UserError, match="without libtpu.*tensorflow-tpu.*docs/devices.md"):
        tpus.require()


def test_a_tpu_that_does_not_start_is_one_line():
    with pytest.raises(UserError, match="cannot start the TPU.*docs/devices.md") as error:
        tpus.start()
    assert "\n" not in str(error.value)
