"""Sound fonts and sounds by name."""

import os
import pathlib

import pytest

from pipelines.audio import font_library
from pipelines.runtime.app import UserError
from tests.support import sound_fonts


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(font_library, "_FOLDERS", (os.fspath(tmp_path),))
    (tmp_path / "Village.sf2").write_bytes(sound_fonts.font([(0, 73, "Flute"), (128, 0, "Kit")]))
    (tmp_path / "Black_Pearl_4_LV2.sf2").write_bytes(sound_fonts.font([(0, 0, "Black_Pearl_4pc")]))
    (tmp_path / "notes.txt").write_text("no font")
    return tmp_path


def test_fonts_are_found_where_they_lie(folder):
    assert list(font_library.fonts()) == ["Black_Pearl_4_LV2", "TimGM6mb", "Village"]
    assert font_library.find_font("village") == os.fspath(folder / "Village.sf2")
    assert pathlib.Path(font_library.find_font("timgm6mb")).name == "TimGM6mb.sf2"


def test_sounds_by_name(folder):
    sound = font_library.find_sound("village:kit")
    assert sound.name == "Village:Kit" and sound.preset[:2] == (128, 0)
    assert font_library.find_sound(f"{folder}/Village.sf2:0:73").name == "Village:Flute"
    # A font of drums alone needs no preset; that it is in bank 0 makes it no melody's.
    assert font_library.find_sound("Black_Pearl_4_LV2").preset.is_drums
    assert font_library.find_sound(f"{folder}/Black_Pearl_4_LV2.sf2").preset.is_drums


def test_fonts_that_are_not_there(folder):
    with pytest.raises(UserError, match=r"no sound font 'vilage'.*did you mean Village"):
        font_library.find_sound("vilage:kit")
    with pytest.raises(UserError, match=r"'FluidR3_GM'.*apt install fluid-soundfont-gm"):
        font_library.find_sound("FluidR3_GM:Brush")
    with pytest.raises(UserError, match=r"notes\.txt: not a sound font"):
        font_library.find_sound(f"{folder}/notes.txt:Kit")
