"""Sound files that people have: of all kinds, damaged, and none at all."""

import numpy as np
import pytest
import soundfile

from pipelines.audio import reading
from pipelines.runtime.app import UserError
from tests.support.sounds import tone

RATE = 16_000


def written(path, samples, rate=RATE, **options):
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.mark.parametrize(
    "ending, options, error",
    [
        ("wav", {}, 1e-4),
        ("wav", {"subtype": "PCM_U8"}, 0.01),
        ("wav", {"subtype": "PCM_24"}, 1e-6),
        ("wav", {"subtype": "FLOAT"}, 0),
        ("flac", {}, 1e-4),
        ("aiff", {}, 1e-4),
    ],
)
def test_formats(tmp_path, ending, options, error):
    path = written(tmp_path / f"tone.{ending}", tone(440), **options)
    found = reading.read(path, RATE, 60)
    assert found.dtype == np.float32 and found.shape == (RATE,)
    assert np.abs(found - tone(440)).max() <= error


def test_stereo_of_96_khz(tmp_path):
    left = tone(440, 96_000)
    path = written(tmp_path / "a.wav", np.stack([left, 0 * left], axis=1), 96_000, subtype="PCM_24")
    found = reading.read(path, RATE, 60)
    assert found.shape == (RATE,)
    assert np.abs(found - tone(440) / 2)[200:-200].max() < 1e-3


def test_mp3(tmp_path):
    if "MP3" not in soundfile.available_formats():
        pytest.skip("this libsndfile has no MP3")
    path = written(tmp_path / "a.mp3", tone(440, 44_100), 44_100, format="MP3")
    assert abs(len(reading.read(path, RATE, 60)) - RATE) < 0.1 * RATE


def test_a_part(tmp_path):
    path = written(tmp_path / "a.wav", np.concatenate([0 * tone(440), tone(440)]), subtype="FLOAT")
    found = reading.read(path, RATE, 1.0, start=1.0, seconds=0.5)
    assert found.tolist() == tone(440)[: RATE // 2].tolist()
    # What is asked for beyond the end is not there.
    assert len(reading.read(path, RATE, 1.0, start=1.5, seconds=30)) == RATE // 2
    with pytest.raises(UserError, match=r"a\.wav: no sound after 2 s"):
        reading.read(path, RATE, 1.0, start=2.0)


def test_three_hours_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "long.wav"
    # 8 bits at 8 kHz: 86 MB that are nowhere on the disk.
    written(path, np.zeros(8, np.float32), 8_000, subtype="PCM_U8")
    header = bytearray(path.read_bytes()[:44])
    size = 3 * 3600 * 8_000
    header[40:44] = size.to_bytes(4, "little")
    header[4:8] = (size + 36).to_bytes(4, "little")
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(44 + size)
    with pytest.raises(UserError, match=r"10800 s are more than 600; .* --seconds=600"):
        reading.read(path, RATE, 600)
    assert len(reading.read(path, RATE, 600, start=3600, seconds=2)) == 2 * RATE


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_half_a_file(tmp_path, ending):
    path = written(tmp_path / f"half.{ending}", np.random.default_rng(0).normal(0, 0.1, RATE))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=rf"half\.{ending}: .*cut short.*get it anew"):
        reading.read(path, RATE, 60)


def test_a_stream_that_did_not_know_its_length(tmp_path):
    path = written(tmp_path / "stream.wav", tone(440))
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4  # As ffmpeg writes into a pipe.
    path.write_bytes(content)
    assert len(reading.read(path, RATE, 60)) == RATE


def test_what_is_no_sound(tmp_path):
    path = tmp_path / "text.wav"
    path.write_text("no sound")
    with pytest.raises(UserError, match=r"text\.wav: cannot be read as sound .*text\.wav\.wav"):
        reading.read(path, RATE, 60)
    (tmp_path / "beat.mid").write_bytes(b"MThd\0\0\0\x06\0\0\0\x01\0\x60")
    with pytest.raises(
        UserError, match=r"MIDI has notes and no sound: \./run\.sh page --audio=wav"
    ):
        reading.read(tmp_path / "beat.mid", RATE, 60)
    written(tmp_path / "empty.wav", np.zeros(0, np.float32))
    with pytest.raises(UserError, match=r"empty\.wav: no sound"):
        reading.read(tmp_path / "empty.wav", RATE, 60)
    written(tmp_path / "nan.wav", np.full(9, np.nan, np.float32), subtype="FLOAT")
    with pytest.raises(UserError, match=r"nan\.wav: has samples that are not finite"):
        reading.read(tmp_path / "nan.wav", RATE, 60)


def test_mp3_without_a_decoder(tmp_path, monkeypatch):
    path = tmp_path / "song.mp3"
    path.write_bytes(b"no libsndfile reads this")
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": "WAV"})
    with pytest.raises(UserError, match=r"no decoder for MP3\); .*ffmpeg -i song\.mp3 song\.mp3"):
        reading.read(path, RATE, 60)


def test_folders(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "notes.txt").write_text("no sound")
    with pytest.raises(UserError, match="no sound file in it"):
        reading.sound_files(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        reading.sound_files(tmp_path / "none.wav")
    first = written(tmp_path / "b" / "A.WAV", tone(440))
    second = written(tmp_path / "c.flac", tone(440))
    assert reading.sound_files(tmp_path) == [first, second]
    assert reading.sound_files(second) == [second]
