"""How alike two sounds are as music: onsets, notes, timbre. Thin, on librosa and mir_eval."""

import numpy as np

_ONSET_SECONDS = 0.05
_PITCH_CENTS = 50.0
_HOP = 256
_LOWEST, _HIGHEST = 65.0, 2100.0  # Hertz, C2 to C7, which tunes are between.
_QUIET_DB = 40.0
_MFCCS = 20
# Added to the variances of MFCCs, so that silence and short sounds have distances.
_LEAST_VARIANCE = 1.0


def onsets(samples: np.ndarray, rate: int) -> np.ndarray:
    """When sounds begin, in seconds: peaks of the spectral flux (Böck and Widmer, 2013), sorted."""
    import librosa

    if not np.any(samples):
        return np.zeros(0)
    return librosa.onset.onset_detect(y=samples, sr=rate, hop_length=_HOP, units="time")


def onset_f1(estimate: np.ndarray, reference: np.ndarray, rate: int) -> float:
    """The F1 of the onsets of a sound beside those of another, within 50 ms, as in MIREX.

    Args:
      estimate, reference: samples.
      rate: frames a second.

    Returns:
      From 0 to 1; 1 where neither has an onset.
    """
    import mir_eval

    found, wanted = onsets(estimate, rate), onsets(reference, rate)
    if not len(found) or not len(wanted):
        return float(len(found) == len(wanted))
    return float(mir_eval.onset.f_measure(wanted, found, window=_ONSET_SECONDS)[0])


def notes(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """The notes of a melody, by onsets and by YIN (de Cheveigné and Kawahara, 2002) between them.

    It is no good transcriber, and need not be: all sounds of a comparison go through it, the
    target's too.

    Returns:
      The begins and ends in seconds, [notes, 2], and the pitches in Hertz, [notes].
    """
    import librosa

    begins = onsets(samples, rate)
    ends = np.append(begins[1:], len(samples) / rate)
    if not len(begins):
        return np.zeros((0, 2)), np.zeros(0)
    track = librosa.yin(
        samples, fmin=_LOWEST, fmax=_HIGHEST, sr=rate, frame_length=1024, hop_length=_HOP
    )
    loudness = librosa.feature.rms(y=samples, frame_length=1024, hop_length=_HOP)[0]
    is_loud = loudness > loudness.max() * 10 ** (-_QUIET_DB / 20)
    intervals, pitches = [], []
    for begin, end in zip(begins, ends):
        inside = slice(round(begin * rate / _HOP), round(end * rate / _HOP))
        heard = track[inside][is_loud[inside]]
        if len(heard):
            intervals.append((begin, end))
            pitches.append(float(np.median(heard)))
    return np.array(intervals).reshape(-1, 2), np.array(pitches)


def note_f1(estimate: np.ndarray, reference: np.ndarray, rate: int) -> float:
    """The F1 of the notes of a sound beside those of another: onsets in 50 ms, pitches in 50 cents.

    Args, returns: as of `onset_f1`.
    """
    import mir_eval

    found, wanted = notes(estimate, rate), notes(reference, rate)
    if not len(found[1]) or not len(wanted[1]):
        return float(len(found[1]) == len(wanted[1]))
    return float(
        mir_eval.transcription.precision_recall_f1_overlap(
            *wanted,
            *found,
            onset_tolerance=_ONSET_SECONDS,
            pitch_tolerance=_PITCH_CENTS,
            offset_ratio=None,
        )[2]
    )


def timbre_distance(estimate: np.ndarray, reference: np.ndarray, rate: int) -> float:
    """The symmetrised Kullback-Leibler divergence of Gaussians of MFCCs, in nats.

    Source: M. Mandel and D. Ellis, "Song-level features and support vector machines for music
    classification", 2005. The first coefficient, the loudness, is left out.

    Args:
      estimate, reference: samples.
      rate: frames a second.

    Returns:
      0 for equal sounds, and more the more they differ.
    """
    (mean, spread), (other, other_spread) = (_timbre(each, rate) for each in (estimate, reference))
    inverse, other_inverse = np.linalg.inv(spread), np.linalg.inv(other_spread)
    apart = mean - other
    traces = np.trace(inverse @ other_spread) + np.trace(other_inverse @ spread)
    found = (traces + apart @ (inverse + other_inverse) @ apart) / 4 - len(mean) / 2
    return max(float(found), 0.0)  # Rounding may make it negative.


def _timbre(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    import librosa

    found = librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=_MFCCS, hop_length=_HOP)[1:]
    found = found.astype(np.float64)
    spread = np.cov(found) if found.shape[1] > 1 else np.zeros((len(found), len(found)))
    return found.mean(axis=1), spread + _LEAST_VARIANCE * np.eye(len(found))
