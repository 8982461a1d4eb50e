"""What turns one sound into another, frame by frame of a mel spectrogram, and the way around it.

Nearly all methods, learnt or not, change the same thing: 192 mel bands in dB, every 12.5 ms, of
mono at 16,000 frames a second. So they are compared by one way back: the non-negative STFT whose
mels are nearest, and phases by fast Griffin-Lim (`audio.spectrograms`). The mels of a method are no
mels of a sound, and the pseudo-inverse would take them for some. What changes samples themselves
needs no way around.
"""

from typing import Protocol, runtime_checkable

import numpy as np

from pipelines.audio import spectrograms

RATE = 16_000  # Frames a second.
FRAME_RATE = 80  # Of mels, a second.
HOP = RATE // FRAME_RATE  # Samples a frame of mels lasts.
BANDS = spectrograms.MEL_BANDS
# Mels below this are silence. A sine of full scale has 9 to 21 dB, what 16 bits round off -104.
# With a floor at -80 the ends of decays are lost: what comes back of two drum kits is then 0.9 and
# 1.7 dB of log-mel distance further from the sound.
FLOOR_DB = -100.0
# Long sounds are converted in parts, which fade into each other.
PART_SECONDS, FADE_SECONDS = 30.0, 0.5
# What is before a part is heard as well, since methods may know what was struck long ago.
_LEAD_SECONDS = 5.0


class Transfer(Protocol):
    """A method that has learnt what it needs."""

    def convert(self, mels: np.ndarray) -> np.ndarray:
        """Turns mels of the source into mels of the target.

        Args:
          mels: float32 in dB, shaped [frames, 192], not below `FLOOR_DB`.

        Returns:
          The same shape and unit; what is below the floor counts as the floor.
        """


@runtime_checkable
class SampleTransfer(Protocol):
    """A method that changes samples, and so brings phases of its own."""

    def convert_samples(self, samples: np.ndarray) -> np.ndarray:
        """Turns a sound of the source into one of the target.

        Args:
          samples: float32 shaped [samples], at `RATE`.

        Returns:
          The same shape; may exceed 1.
        """


def mels(samples: np.ndarray) -> np.ndarray:
    """The mels of a sound.

    Args:
      samples: float32 shaped [samples], at `RATE`.

    Returns:
      Float32 in dB, shaped [1 + samples // 200, 192], not below `FLOOR_DB`.
    """
    found = spectrograms.mel(samples, RATE).T
    return np.maximum(20 * np.log10(np.maximum(found, 1e-12)), FLOOR_DB).astype(np.float32)


def are_silent(mels: np.ndarray, before: int = 0, after: int = 0) -> np.ndarray:
    """Tells frames around which nothing sounds.

    Args:
      mels: in dB, shaped [frames, bands].
      before, after: how many frames before and after each have to be silent as well.

    Returns:
      Bool shaped [frames].
    """
    loudest = np.pad(mels.max(axis=1), (before, after), constant_values=FLOOR_DB)
    around = np.lib.stride_tricks.sliding_window_view(loudest, before + 1 + after)
    return around.max(axis=1) <= FLOOR_DB


def sound(found: np.ndarray, length: int) -> np.ndarray:
    """A sound that has nearly these mels.

    Args:
      found: mels in dB, shaped [frames, 192]; `FLOOR_DB` and less is silence.
      length: samples of the sound.

    Returns:
      Float32 shaped [length]; may exceed 1.
    """
    magnitudes = np.where(found > FLOOR_DB, 10 ** (np.asarray(found, np.float64) / 20), 0.0)
    return spectrograms.sound_of_mel(magnitudes.T.astype(np.float32), RATE, length)


def converted(samples: np.ndarray, transfer: Transfer | SampleTransfer | None) -> np.ndarray:
    """A sound with the sound of the target.

    Args:
      samples: float32 shaped [samples], at `RATE`.
      transfer: the method; None goes to mels and back, which is what is lost without any.

    Returns:
      Float32 shaped [samples]; may exceed 1.
    """
    size, fade = round(PART_SECONDS * RATE), round(FADE_SECONDS * RATE)
    made = np.zeros(len(samples), np.float32)
    for start in range(0, max(len(samples) - fade, 1), size):
        part = samples[start : start + size + fade]
        if isinstance(transfer, SampleTransfer):
            again = transfer.convert_samples(part)
        else:
            lead = min(start, round(_LEAD_SECONDS * RATE))
            again = _through_mels(samples[start - lead : start + len(part)], lead, transfer)
        if start:
            # The parts are one music, so their amplitudes add up, not their powers.
            rise = np.linspace(0, 1, min(fade, len(part)), dtype=np.float32)
            again[: len(rise)] *= rise
        if start + size + fade < len(samples):
            again[size:] *= np.linspace(1, 0, fade, dtype=np.float32)
        made[start : start + len(part)] += again
    return made


def _through_mels(samples: np.ndarray, lead: int, transfer: Transfer | None) -> np.ndarray:
    """What becomes of samples without those that lead to them, a multiple of a frame's."""
    found = mels(samples)
    changed = found if transfer is None else transfer.convert(found)
    changed = changed[lead * FRAME_RATE // RATE :]
    return sound(np.maximum(changed, FLOOR_DB), len(samples) - lead)
