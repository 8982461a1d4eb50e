"""Nearest frames by what was struck, and how long ago: for drums, and all that rings on.

A cymbal that is brushed is silent when one that is hit still rings, so frames that are compared by
their loudness (`knn`) are not those of the same moment. What was struck when is the same with both
sounds. So frames are described by the history of their onsets: in each block of bands the spectral
flux, held by envelopes that fall at three speeds, like the peak detectors of a compressor. How loud
the bands are counts a little as well.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.systems.style.transfer.methods import Method, quantile
from pipelines.systems.style.transfer.nearest import NearestFrames, spread
from pipelines.systems.style.transfer.transfers import FLOOR_DB, FRAME_RATE, are_silent

_BLOCK = 8  # Bands that are compared as one.
_RISE = 2  # Frames in which an onset rises.
# In which time the envelopes fall to 1/e, in seconds.
_FALLS = (0.05, 0.25, 1.0)
# Amplitudes are compressed by log(1 + 300 a), whose knee is at -50 dB: what is softer counts in
# proportion to its amplitude.
_COMPRESSION = 300.0
_LOUDNESS = 0.01  # The weight of a decibel beside onsets, whose standard deviation is 1.
_MOST_FRAMES = 20_000
# So long after the last sound there is silence, whatever was struck.
_RINGS_SECONDS = 5.0


class NearestByOnsets:
    """Replaces frames by frames of the target that come as long after the same onsets.

    Args:
      source, target: the quantiles of the bands of both sounds, as of `quantile.Quantiles`.
      source_onsets, target_onsets: those of their onsets, as of `_onsets`.
      frames: mels of the target, [frames, bands].
      features: what they are compared by, [frames, features].
      scale: what onsets are multiplied by, a number.
    """

    def __init__(
        self,
        source: np.ndarray,
        target: np.ndarray,
        source_onsets: np.ndarray,
        target_onsets: np.ndarray,
        frames: np.ndarray,
        features: np.ndarray,
        scale: np.ndarray,
    ):
        self._loudness = quantile.Quantiles(source, target)
        self._onsets = quantile.Quantiles(source_onsets, target_onsets)
        self._nearest = NearestFrames(frames, features)
        self._scale = scale

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """As of `methods.Fitted`."""
        onsets = {f"{name}_onsets": array for name, array in self._onsets.arrays.items()}
        nearest = {"frames": self._nearest.frames, "features": self._nearest.features}
        return {**self._loudness.arrays, **onsets, **nearest, "scale": self._scale}

    def convert(self, mels: np.ndarray) -> np.ndarray:
        """As of `transfers.Transfer`; frames are silent where nothing sounded for five seconds."""
        onsets = self._onsets.matched(_onsets(mels))
        found = self._nearest.mean(_features(self._loudness.matched(mels), onsets, self._scale))
        found[are_silent(mels, round(_RINGS_SECONDS * FRAME_RATE), _RISE)] = FLOOR_DB
        return found


def _blocks(mels: np.ndarray) -> np.ndarray:
    """The mean level of blocks of bands, in dB: one loud band is no block that is loud."""
    return mels.reshape(len(mels), -1, _BLOCK).mean(axis=2)


def _onsets(mels: np.ndarray) -> np.ndarray:
    """The spectral flux of blocks of bands, held by each envelope: [frames, features]."""
    # A sound may begin with an onset, so silence comes before it.
    mels = np.pad(mels, ((_RISE, 0), (0, 0)), constant_values=FLOOR_DB)
    amplitudes = np.log1p(_COMPRESSION * 10 ** (_blocks(mels) / 20))
    # An onset rises over two frames, and is where it begins.
    rises = np.maximum(np.diff(amplitudes, axis=0, append=amplitudes[-1:]), 0)
    flux = rises + np.concatenate([rises[1:], np.zeros_like(rises[:1])])
    falls = np.exp(-1 / (FRAME_RATE * np.array(_FALLS)))[:, None]
    held = np.empty((len(flux), len(_FALLS), flux.shape[1]), np.float32)
    envelopes = np.zeros(held.shape[1:])
    for frame, rise in enumerate(flux):
        envelopes = np.maximum(envelopes * falls, rise)
        held[frame] = envelopes
    return held.reshape(len(flux), -1)[_RISE:]


def _features(mels: np.ndarray, onsets: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.concatenate([onsets * scale, _blocks(mels) * _LOUDNESS], axis=1)


def fit(source: Sequence[np.ndarray], target: Sequence[np.ndarray]) -> NearestByOnsets:
    """Keeps frames of the target, and how bands and onsets are matched."""
    loudness = quantile.fit(source, target)
    onsets = [[_onsets(mels) for mels in sounds] for sounds in (source, target)]
    matched = quantile.fit(*onsets)
    frames, struck = np.concatenate(target), np.concatenate(onsets[1])
    scale = np.array(1 / max(float(struck.std()), 1e-6), np.float32)
    kept = spread(len(frames), _MOST_FRAMES)
    return NearestByOnsets(
        **loudness.arrays,
        **{f"{name}_onsets": array for name, array in matched.arrays.items()},
        frames=frames[kept],
        features=_features(frames, struck, scale)[kept],
        scale=scale,
    )


METHOD = Method(
    "onsets", "the target's frames that come as long after the same onsets", fit, NearestByOnsets
)
