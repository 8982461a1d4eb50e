"""The network that comes with the project: its size, its card, and whether it does its work."""

import hashlib
import json
import re

import numpy as np
import pytest

from pipelines import runs
from pipelines.audio import separation
from pipelines.systems.style.separation import mask_folders
from tests.support.sounds import clicks, tone

OURS = mask_folders.OURS

pytestmark = pytest.mark.keras3


def test_it_is_small_and_its_card_has_the_sha256():
    content = (OURS / mask_folders.WEIGHTS).read_bytes()
    card = (OURS / "CARD.md").read_text(encoding="utf-8")
    assert len(content) < 1.5e6
    assert hashlib.sha256(content).hexdigest() in card
    for part in ("## Data and licence", "## Metrics", "--method=net"):
        assert part in card


def test_it_names_no_folder_of_who_trained_it():
    text = (OURS / runs.METADATA).read_text() + (OURS / "CARD.md").read_text()
    assert not re.search(r"/(home|Users|root|work|mnt|tmp)/", text)
    assert json.loads((OURS / runs.METADATA).read_text())["finished"]


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_it_tells_bursts_of_noise_from_a_chord(rate):
    from pipelines.systems.style.separation import mask_model

    separator = mask_model.separator(mask_model.open_model(OURS))
    chord = sum(tone(hertz, rate, 3.0) for hertz in (262, 330, 392)) / 5
    wanted = 3 * clicks(rate, 3.0), chord
    mixed = sum(wanted)[:, np.newaxis]
    for found, truth in zip(zip(*separation.separate([mixed], rate, separator)), wanted):
        before = separation.si_sdr(mixed[:, 0], truth)
        assert separation.si_sdr(np.concatenate(found)[:, 0], truth) > before + 5
