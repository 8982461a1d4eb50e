"""The trained models that come with the project, of every system: size, card, numbers, privacy."""

import hashlib
import re

import numpy as np
import pytest

import configs
from pipelines import runs
from pipelines.exported import folders

BOX = folders.BOX

pytestmark = pytest.mark.parametrize("name", folders.names())


def test_it_is_small(name):
    assert sum(path.stat().st_size for path in (BOX / name).iterdir()) <= 9e6


def test_its_card_has_the_sha256_and_is_complete(name):
    card = (BOX / name / folders.CARD).read_text(encoding="utf-8")
    content = (BOX / name / folders.WEIGHTS).read_bytes()
    assert hashlib.sha256(content).hexdigest() in card
    assert "To be written" not in card
    for part in ("## Data and licence", "## Metrics", f"--pretrained={name}"):
        assert part in card


def test_its_weights_are_of_a_config_of_the_project(name):
    found = folders.read(BOX / name)
    metadata = runs.read_any(BOX / name)
    assert found.config == metadata["config"]
    configs.require_known(found.config, None)
    assert {tensor.dtype for tensor in found.tensors.values()} == {np.dtype("float16")}


def test_it_names_no_folder_of_who_trained_it(name):
    text = (BOX / name / "run.json").read_text() + (BOX / name / "CARD.md").read_text()
    assert not re.search(r"/(home|Users|root|work|mnt|tmp)/", text)
