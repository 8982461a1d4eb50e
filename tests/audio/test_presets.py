"""Presets of sound fonts, of fonts that are made here and of the one that comes with a package."""

import pytest

from pipelines.audio import presets, synthesis
from pipelines.audio.presets import Preset
from pipelines.runtime.app import UserError
from tests.support import sound_fonts

MADE = [(128, 40, "Brush"), (0, 73, "Flute"), (8, 73, "Flute"), (0, 0, "Piano")]


@pytest.mark.parametrize("padded", [True, False])
def test_presets_by_bank_and_program(tmp_path, padded):
    path = tmp_path / "made.sf2"
    path.write_bytes(sound_fonts.font(MADE, padded))
    assert presets.read(path) == [
        Preset(0, 0, "Piano", False),
        Preset(0, 73, "Flute", False),
        Preset(8, 73, "Flute", False),
        Preset(128, 40, "Brush", True),
    ]
    assert all(each.is_drums for each in presets.read(path, is_drums=True))


def test_the_font_of_general_midi():
    found = presets.read(synthesis.find_sound_font())
    by_number = {each[:2]: each for each in found}
    # General MIDI's numbers from 0: a piano, a violin, a flute; kits in bank 128.
    assert {(0, 0), (0, 40), (0, 73), (128, 0), (128, 40)} <= set(by_number)
    assert by_number[128, 40] == Preset(128, 40, "Brush", True)
    assert not by_number[0, 73].is_drums


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", b"RIFF\4\0\0\0WAVE", sound_fonts.font(MADE)[:-30], sound_fonts.font(MADE)[:40]],
)
def test_what_is_no_sound_font(tmp_path, content):
    path = tmp_path / "no.sf2"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"no\.sf2: not a sound font"):
        presets.read(path)


def test_a_preset_by_name_or_number(tmp_path):
    path = tmp_path / "made.sf2"
    path.write_bytes(sound_fonts.font(MADE))
    made = presets.read(path)
    assert presets.find(made, "brush", "Made")[:2] == (128, 40)
    assert presets.find(made, "8:73", "Made")[:2] == (8, 73)
    assert presets.find(made[:1], "", "Made").name == "Piano"
    with pytest.raises(UserError, match=r"2 presets named 'Flute'; give Made:0:73 or Made:8:73"):
        presets.find(made, "Flute", "Made")
    with pytest.raises(UserError, match=r"no preset 'Brus'; did you mean Made:Brush"):
        presets.find(made, "Brus", "Made")
    with pytest.raises(UserError, match=r"no preset '1:1' \(./run.sh style sounds Made"):
        presets.find(made, "1:1", "Made")
    with pytest.raises(UserError, match=r"has 4 presets; name one, Made:NAME"):
        presets.find(made, "", "Made")
