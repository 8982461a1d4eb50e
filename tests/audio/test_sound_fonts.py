"""A damaged sound font ends in one line, not in the end of the process."""

import pathlib
import struct

import pytest

from pipelines.audio import sound_fonts, synthesis
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError

pytest.importorskip("tinysoundfont", reason="no tinysoundfont: it has no wheel here")

FONT = pathlib.Path(synthesis.find_sound_font()).read_bytes()


def table(name: bytes) -> int:
    """Where the records of a table of the font begin."""
    return FONT.index(name, FONT.rindex(b"pdta")) + 8


def changed(place: int, number: int) -> bytes:
    """The font with a number of 16 bits at a place."""
    return FONT[:place] + struct.pack("<H", number) + FONT[place + 2 :]


def test_sound_fonts_that_play_pass(tmp_path):
    sound_fonts.require_harmless(synthesis.find_sound_font())
    # What the synthesiser refuses by itself passes here, and is named when it is used.
    (tmp_path / "no.sf2").write_bytes(FONT[: len(FONT) // 2])
    sound_fonts.require_harmless(str(tmp_path / "no.sf2"))
    with pytest.raises(UserError, match="not a sound font"):
        synthesis.require(sound_font=str(tmp_path / "no.sf2"))


@pytest.mark.parametrize(
    "damage",
    [
        # In the second record of each: the first entry of a list, which has to be in the next one.
        pytest.param((table(b"phdr") + 38 + 24, 0xFFFF), id="a preset's zones"),
        pytest.param((table(b"inst") + 22 + 20, 0xFFFF), id="an instrument's zones"),
    ],
)
def test_a_sound_font_that_crashes_the_synthesiser_is_named(tmp_path, damage):
    path = tmp_path / "font.sf2"
    path.write_bytes(changed(*damage))
    with pytest.raises(UserError, match=r"font\.sf2: damaged: the synthesiser crashes"):
        synthesis.require(sound_font=str(path))
    # And this process goes on.
    assert next(synthesis.blocks(NoteSequence(), None, None)).shape[1] == 2
