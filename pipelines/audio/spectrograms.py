"""Sound as spectrograms, and spectrograms as sound: STFT, mel and CQT by librosa.

Only magnitudes are kept, so the way back has to find phases: fast Griffin-Lim (Perraudin, Balazs
and Soendergaard, "A fast Griffin-Lim algorithm", 2013) with the momentum of 0.99 from random phases
that are always the same. A mel spectrogram is first turned into the non-negative STFT that gives
its mels best. The pseudo-inverse is not used: it has negative bins, which have to be cut off, and
mels that a model has edited are far from any that it was made for.

The frames are centred, so the first and the last samples are in as many windows as the others,
and what comes back is as long as what went in and is not faded.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

WINDOW_SECONDS = 0.05  # 800 frames at 16 kHz. Of longer windows, mels keep less of a melody.
MEL_BANDS = 192
CQT_HOP, CQT_BINS_AN_OCTAVE = 512, 12
ITERATIONS = 100
_CQT_ITERATIONS = 32
_MOMENTUM = 0.99
_LOWEST = 32.703  # Hertz, C1.
# Shorter sounds than the longest filters are padded with zeros: for the CQT to so many seconds.
_CQT_LEAST = 1.1


class Representation(NamedTuple):
    """A kind of spectrogram.

    Attributes:
      analyse: samples and their rate to magnitudes, [bins, frames].
      invert: magnitudes, the rate and the number of samples to samples.
    """

    analyse: Callable[[np.ndarray, int], np.ndarray]
    invert: Callable[[np.ndarray, int, int], np.ndarray]


def window(rate: int) -> int:
    """The frames of a window of the STFT, a multiple of 4."""
    return round(WINDOW_SECONDS * rate / 4) * 4


def stft(samples: np.ndarray, rate: int) -> np.ndarray:
    """Magnitudes of the short-time Fourier transform.

    Args:
      samples: float32 shaped [frames].
      rate: frames a second; a window has `window(rate)` frames, and the hop is a quarter of it.

    Returns:
      Float32 shaped [window / 2 + 1, 1 + frames // hop]; a sound that is shorter than a window
      has as many frames as one of that length.
    """
    import librosa

    size = window(rate)
    padded = np.pad(samples, (0, max(size - len(samples), 0)))
    return np.abs(librosa.stft(padded, n_fft=size, hop_length=size // 4))


def sound_of_stft(magnitudes: np.ndarray, rate: int, length: int) -> np.ndarray:
    """A sound that has nearly these magnitudes.

    Args:
      magnitudes: as `stft` gives them, non-negative.
      rate: frames a second.
      length: frames of the sound.

    Returns:
      Float32 shaped [length]; may exceed 1.
    """
    import librosa

    size = window(rate)
    found = librosa.griffinlim(
        magnitudes,
        n_iter=ITERATIONS,
        hop_length=size // 4,
        n_fft=size,
        momentum=_MOMENTUM,
        length=max(length, size),
        random_state=0,
    )
    return found[:length].astype(np.float32)


def mel(samples: np.ndarray, rate: int, bands: int = MEL_BANDS) -> np.ndarray:
    """Magnitudes in bands of Slaney's mel scale, [bands, 1 + frames // hop].

    Raises:
      ValueError: for more bands than the STFT can tell apart at this rate.
    """
    return mel_filters(rate, bands) @ stft(samples, rate)


def sound_of_mel(mels: np.ndarray, rate: int, length: int) -> np.ndarray:
    """A sound that has nearly these mels; arguments and result are those of `sound_of_stft`."""
    return sound_of_stft(stft_of_mel(mels, rate), rate, length)


def stft_of_mel(mels: np.ndarray, rate: int) -> np.ndarray:
    """The non-negative magnitudes of an STFT whose mels are nearest, by least squares.

    Args:
      mels: non-negative, [bands, frames].
      rate: frames a second.

    Returns:
      Float32 shaped [window / 2 + 1, frames].
    """
    import librosa

    return librosa.util.nnls(mel_filters(rate, len(mels)), mels).astype(np.float32)


@functools.lru_cache(maxsize=4)
def mel_filters(rate: int, bands: int) -> np.ndarray:
    """The mel bands as weights of the bins of an STFT, float32 shaped [bands, bins].

    Raises:
      ValueError: where a band has no bin, since there are too many bands.
    """
    import warnings

    import librosa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # About empty bands, which are an error here.
        filters = librosa.filters.mel(sr=rate, n_fft=window(rate), n_mels=bands)
    bins = filters.shape[1]
    empty = int(np.sum(filters.max(axis=1) == 0))
    if empty or bands > bins:
        raise ValueError(
            f"{bands} mel bands are too many for {bins} bins at {rate} frames a second: "
            f"{empty} of them have no bin"
        )
    filters.flags.writeable = False
    return filters


def complex_cqt(samples: np.ndarray, rate: int) -> np.ndarray:
    """The constant-Q transform with its phases, from C1 up to half the rate; for measuring it."""
    import librosa

    padded = np.pad(samples, (0, max(_cqt_length(0, rate) - len(samples), 0)))
    return librosa.cqt(
        padded,
        sr=rate,
        hop_length=CQT_HOP,
        fmin=_LOWEST,
        n_bins=_cqt_bins(rate),
        bins_per_octave=CQT_BINS_AN_OCTAVE,
    )


def sound_of_complex_cqt(transformed: np.ndarray, rate: int, length: int) -> np.ndarray:
    """The inverse of `complex_cqt`: what the transform itself keeps of a sound."""
    import librosa

    found = librosa.icqt(
        transformed,
        sr=rate,
        hop_length=CQT_HOP,
        fmin=_LOWEST,
        bins_per_octave=CQT_BINS_AN_OCTAVE,
        length=_cqt_length(length, rate),
    )
    return found[:length].astype(np.float32)


def cqt(samples: np.ndarray, rate: int) -> np.ndarray:
    """Magnitudes of the constant-Q transform, a bin a semitone: [bins, frames]."""
    return np.abs(complex_cqt(samples, rate))


def sound_of_cqt(magnitudes: np.ndarray, rate: int, length: int) -> np.ndarray:
    """A sound that has nearly these magnitudes; arguments and result as of `sound_of_stft`."""
    import librosa

    found = librosa.griffinlim_cqt(
        magnitudes,
        n_iter=_CQT_ITERATIONS,
        sr=rate,
        hop_length=CQT_HOP,
        fmin=_LOWEST,
        bins_per_octave=CQT_BINS_AN_OCTAVE,
        momentum=_MOMENTUM,
        length=_cqt_length(length, rate),
        random_state=0,
    )
    return found[:length].astype(np.float32)


def _cqt_length(length: int, rate: int) -> int:
    return max(length, round(_CQT_LEAST * rate))


def _cqt_bins(rate: int) -> int:
    """How many semitones above C1 fit below half the rate, with the width of the last filter."""
    return int(CQT_BINS_AN_OCTAVE * np.log2(rate / 2 / 1.05 / _LOWEST)) + 1


REPRESENTATIONS = {
    "stft": Representation(stft, sound_of_stft),
    "mel": Representation(mel, sound_of_mel),
    "cqt": Representation(cqt, sound_of_cqt),
}
