"""Sound files, read back by soundfile."""

import errno
import os

import numpy as np
import pytest
import soundfile

from pipelines.audio import files
from pipelines.runtime.app import UserError

RATE = 44_100


def tone(seconds=1.0):
    mono = 0.5 * np.sin(np.arange(int(RATE * seconds)) / RATE * 2 * np.pi * 440)
    return np.stack([mono, mono], axis=1).astype(np.float32)


@pytest.mark.parametrize("ending, error", [("wav", 2**-15), ("flac", 2**-15), ("mp3", 0.02)])
def test_what_is_written_is_read(tmp_path, ending, error):
    samples = tone()
    path = tmp_path / f"tone.{ending}"
    files.write(path, samples, RATE)
    read, rate = soundfile.read(path)
    assert rate == RATE and read.shape[1] == 2
    # The frames of MP3 are longer; its header says what to leave out of the first and the last.
    assert len(read) == len(samples)
    middle = slice(RATE // 4, RATE // 2)
    assert np.abs(read[middle] - samples[middle]).max() <= error
    assert np.abs(read).max() == pytest.approx(0.5, abs=0.02)
    # Blocks give the same bytes, and so does a second time.
    files.write(tmp_path / f"again.{ending}", iter([samples[:1000], samples[1000:]]), RATE)
    assert (tmp_path / f"again.{ending}").read_bytes() == path.read_bytes()
    assert sorted(os.listdir(tmp_path)) == [f"again.{ending}", f"tone.{ending}"]


@pytest.mark.parametrize("ending", files.ENDINGS)
def test_no_frames(tmp_path, ending):
    files.write(tmp_path / f"nothing.{ending}", np.zeros((0, 2), np.float32), RATE)
    assert (tmp_path / f"nothing.{ending}").exists()


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(UserError, match=r"tone\.ogg: sound is written as \.wav, \.flac, \.mp3"):
        files.write(tmp_path / "tone.ogg", tone(), RATE)
    with pytest.raises(FileNotFoundError, match=r"no/tone\.wav"):
        files.write(tmp_path / "no" / "tone.wav", tone(), RATE)
    if os.geteuid():
        (tmp_path / "read only").mkdir(mode=0o500)
        with pytest.raises(PermissionError, match=r"read only/tone\.wav"):
            files.write(tmp_path / "read only" / "tone.wav", tone(), RATE)


def test_what_was_there_stays_where_rendering_fails(tmp_path):
    path = tmp_path / "tone.flac"
    path.write_bytes(b"earlier")

    def blocks():
        yield tone()
        raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(OSError, match="no space"):
        files.write(path, blocks(), RATE)
    assert path.read_bytes() == b"earlier" and os.listdir(tmp_path) == ["tone.flac"]
