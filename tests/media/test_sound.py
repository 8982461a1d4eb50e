"""Sound beside MIDI files."""

import pytest
import soundfile

from pipelines.audio import synthesis
from pipelines.media import sound
from pipelines.runtime.app import UserError
from tests.support.pieces import drums, melody


def test_what_is_chosen(monkeypatch, capsys):
    monkeypatch.setattr(synthesis, "require", lambda *given: None)
    monkeypatch.setattr(synthesis, "is_installed", lambda: True)
    assert sound.choose("auto", 100) == "mp3"
    assert sound.choose("auto", 101) is None
    assert sound.choose("none", 1) is None
    assert sound.choose("flac", 10_000) == "flac"
    monkeypatch.setattr(synthesis, "is_installed", lambda: False)
    assert capsys.readouterr().err == ""
    assert sound.choose("auto", 1) is None
    assert "neither tinysoundfont nor FluidSynth is installed" in capsys.readouterr().err


def test_a_missing_sound_font_is_found_before_the_music_is_made():
    pytest.importorskip("tinysoundfont")
    with pytest.raises(UserError, match=r"none\.sf2: no such sound font"):
        sound.choose("auto", 1, sound_font="none.sf2")
    assert sound.choose("none", 1, sound_font="none.sf2") is None
    assert sound.choose("mp3", 1) == "mp3"


def test_sound_lies_beside_its_midi_file(tmp_path):
    pytest.importorskip("tinysoundfont")
    midi = tmp_path / "a.b <é>.mid"
    for ending in ("wav", "flac", "mp3"):
        written = sound.write(drums([(0.0, 36, 100)]), midi, ending)
        assert written == str(tmp_path / f"a.b <é>.{ending}")
        assert soundfile.info(written).duration > 0.05
    fiddle = (tmp_path / "a.b <é>.wav").read_bytes()
    sound.write(melody([69]), midi, "wav", "flute")
    assert (tmp_path / "a.b <é>.wav").read_bytes() != fiddle
    sound.remove(midi, kept="mp3")
    assert [path.name for path in tmp_path.iterdir()] == ["a.b <é>.mp3"]
    sound.remove(midi)
    assert not list(tmp_path.iterdir())
