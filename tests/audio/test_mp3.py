"""MP3: its header, and its length by a decoder."""

import io

import numpy as np
import pytest
import soundfile

from pipelines.audio import mp3

RATE = 44_100


def written(samples, size=50_000):
    file = io.BytesIO()
    mp3.write(file, [samples[at : at + size] for at in range(0, max(len(samples), 1), size)])
    return file.getvalue()


@pytest.mark.parametrize("frames", [1, 575, 1152, 1153, 3 * RATE + 17])
def test_a_decoder_gives_as_many_samples_and_none_of_them_late(frames):
    rng = np.random.default_rng(0)
    samples = np.zeros((frames, 2), np.float32)
    middle = frames // 2
    samples[middle : middle + 2000] = 0.3 * rng.standard_normal((frames - middle, 2))[:2000]
    found, rate = soundfile.read(io.BytesIO(written(samples)))
    assert rate == RATE and found.shape == samples.shape
    if frames > RATE:
        near = found[middle - 100 : middle + 2100, 0]
        fits = np.correlate(near, samples[middle : middle + 2000, 0], "valid")
        assert int(fits.argmax()) == 100


def test_the_header_says_what_is_in_the_file():
    """Fields by "Mp3 Info Tag revision 1 Specification"; frames counted by walking the headers."""
    data = written(np.full((10 * RATE, 2), 0.1, np.float32))
    rates = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    starts, at = [], 0
    while at < len(data):
        assert data[at] == 0xFF and data[at + 1] == 0xFB
        starts.append(at)
        at += 144_000 * rates[data[at + 2] >> 4] // RATE + (data[at + 2] >> 1 & 1)
    assert at == len(data)
    assert data[36:40] == b"Xing" and data[156:160] == b"LAME"
    assert int.from_bytes(data[44:48], "big") == len(starts) - 1
    assert int.from_bytes(data[48:52], "big") == len(data)
    contents = data[52:152]
    assert list(contents) == sorted(contents) and contents[0] <= 1 and contents[99] >= 240
    delay, padding = (value := int.from_bytes(data[177:180], "big")) >> 12, value & 0xFFF
    assert (len(starts) - 1) * 1152 - delay - padding == 10 * RATE
    assert mp3._crc16(b"123456789") == 0xBB3D  # The check value of CRC-16/ARC.
    assert int.from_bytes(data[190:192], "big") == mp3._crc16(data[:190])


def test_equal_samples_give_equal_bytes_in_blocks_of_any_size():
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (RATE, 2)).astype(np.float32)
    assert written(samples, 999) == written(samples, 50_000) == written(samples, 44_100)


def test_no_samples():
    assert soundfile.info(io.BytesIO(written(np.zeros((0, 2), np.float32)))).frames == 0
