"""Measures transfers by the true target, beside doing nothing, what can be had at best, and chance.

Every row is measured on its output audio, since mels that are right may have no sound. Clips are
the beginnings of held-out performances. Where source and target differ in length, since notes die
away at other times, the shorter is followed by silence, and all outputs are as long as the longer.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.audio import distances, likeness, reading, spectrograms
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress
from pipelines.systems.style.measuring.sound_classifier import SoundClassifier, frechet_distance
from pipelines.systems.style.sounds import sound_folders
from pipelines.systems.style.sounds.performances import SOURCE, TARGET
from pipelines.systems.style.transfer import fitting, transfers
from pipelines.systems.style.transfer.transfers import RATE, SampleTransfer, Transfer

INPUT, CEILING, ITSELF, FLOOR = "input", "target through mels", "target", "another target"
MARKS = (INPUT, CEILING, ITSELF, FLOOR)  # Rows that are always there.
_RESAMPLES = 2000
_INTERVAL = (2.5, 97.5)


class Clip(NamedTuple):
    """The beginning of a performance with both sounds: samples of one length."""

    source: np.ndarray
    target: np.ndarray


class Settings(NamedTuple):
    """What is measured.

    Attributes:
      split: of the performances.
      most: how many performances, drawn by the seed.
      seconds: of each.
      melodic: whether notes are compared, rather than onsets alone, as of drums.
      seed: draws performances, and what is resampled.
    """

    split: str = "test"
    most: int = 20
    seconds: float = 5.0
    melodic: bool = False
    seed: int = 0


def evaluate(
    folder: str | os.PathLike, made: Mapping[str, Transfer | SampleTransfer], settings: Settings
) -> dict[str, Any]:
    """Measures transfers on pairs.

    Args:
      folder: one that `style render` has made of two sounds.
      made: the transfers by the names of their rows.
      settings: what is measured.

    Returns:
      For each row the mean of each measure with its 95% interval, by a bootstrap over performances:
      `lsd_db` and `log_mel_db`, the log-spectral distances to the target, of what is heard and of
      all down to `transfers.FLOOR_DB`; `onset_f1` or `note_f1` beside the input;
      `timbre` to the target, in nats; `probability` of the target's sound, and `frechet`, which has
      no interval.

    Raises:
      UserError: where there are no pairs, or too few.
    """
    drawn = read_clips(folder, settings._replace(most=2 * settings.most))
    clips, others = drawn[: settings.most], drawn[settings.most :]
    # Of the clips that are measured, the same set in another order would have no Frechet distance
    # to itself; where there are no others, it has to do.
    others = others or [*clips[-1:], *clips[:-1]]
    classifier = _classifier(folder, settings)
    targets = [transfers.mels(clip.target) for clip in clips]
    rows: dict[str, Callable[[int], np.ndarray]] = {
        INPUT: lambda i: clips[i].source,
        **{name: _through(one, clips) for name, one in made.items()},
        CEILING: lambda i: transfers.converted(clips[i].target, None),
        ITSELF: lambda i: clips[i].target,
        FLOOR: lambda i: _as_long(others[i % len(others)].target, len(clips[i].target)),
    }
    found = {}
    with Progress("clips measured", len(rows) * len(clips)) as progress:
        for number, (name, sound) in enumerate(rows.items()):
            outputs = []
            for i in range(len(clips)):
                outputs.append(np.clip(sound(i), -1, 1))
                progress.update(number * len(clips) + i + 1, name)
            found[name] = _row(outputs, clips, targets, classifier, settings)
    return {**settings._asdict(), "performances": len(clips), "rows": found}


def read_clips(folder: str | os.PathLike, settings: Settings) -> list[Clip]:
    """The clips to measure on; a performance that is silent with one of its sounds is passed over.

    Raises:
      UserError: where fewer than two are left.
    """
    pairs = sound_folders.pairs(folder, settings.split)
    order = np.random.default_rng(settings.seed).permutation(len(pairs)).tolist()
    clips: list[Clip] = []
    for at in order:
        if len(clips) == settings.most:
            break
        both = [
            reading.read(path, RATE, np.inf, 0, settings.seconds)
            for path in (pairs[at].source, pairs[at].target)
        ]
        if all(np.any(each) for each in both):
            length = max(map(len, both))
            clips.append(Clip(*(_as_long(each, length) for each in both)))
    if len(clips) < 2:
        raise UserError(f"{folder}: {len(clips)} pairs of {settings.split} sound; render more")
    return clips


def _through(
    transfer: Transfer | SampleTransfer, clips: Sequence[Clip]
) -> Callable[[int], np.ndarray]:
    return lambda i: transfers.converted(clips[i].source, transfer)


def _as_long(samples: np.ndarray, length: int) -> np.ndarray:
    return np.pad(samples, (0, max(length - len(samples), 0)))[:length]


def _classifier(folder: str | os.PathLike, settings: Settings) -> SoundClassifier:
    """It learns from performances of training, which are not those that are measured.

    Of each it hears as much as of what is measured, since longer clips differ less from each other.
    """
    source, target = (
        list(
            fitting.clips(
                sound_folders.sounds(os.path.join(folder, role), "train"),
                settings.seed,
                f"sounds of the {role}",
                settings.seconds,
            )
        )
        for role in (SOURCE, TARGET)
    )
    return SoundClassifier(source, target)


def _row(
    outputs: Sequence[np.ndarray],
    clips: Sequence[Clip],
    targets: Sequence[np.ndarray],
    classifier: SoundClassifier,
    settings: Settings,
) -> dict[str, Any]:
    mels = [transfers.mels(each) for each in outputs]
    alike = likeness.note_f1 if settings.melodic else likeness.onset_f1
    values = {
        "lsd_db": [
            distances.log_spectral_distance(
                spectrograms.stft(output, RATE), spectrograms.stft(clip.target, RATE)
            )
            for output, clip in zip(outputs, clips)
        ],
        "log_mel_db": [distances.decibel_distance(*both) for both in zip(mels, targets)],
        "note_f1" if settings.melodic else "onset_f1": [
            alike(output, clip.source, RATE) for output, clip in zip(outputs, clips)
        ],
        "timbre": [
            likeness.timbre_distance(output, clip.target, RATE)
            for output, clip in zip(outputs, clips)
        ],
        "probability": classifier.probabilities(mels).tolist(),
    }
    row: dict[str, Any] = {name: interval(some, settings.seed) for name, some in values.items()}
    row["frechet"] = round(
        frechet_distance(classifier.features(mels), classifier.features(targets)), 3
    )
    return row


def interval(
    values: Sequence[float] | np.ndarray, seed: int = 0, digits: int = 3
) -> dict[str, float]:
    """The mean of values, one a performance, and its 95% interval by a bootstrap."""
    drawn = np.random.default_rng(seed).choice(values, (_RESAMPLES, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, _INTERVAL)
    return {
        name: round(float(value), digits) + 0.0  # Without the sign of -0.0.
        for name, value in (("mean", np.mean(values)), ("low", low), ("high", high))
    }


def table(found: Mapping[str, Any]) -> list[str]:
    """The rows as a table in Markdown."""
    rows = found["rows"]
    names = list(next(iter(rows.values())))
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for name, row in rows.items():
        cells = [
            f"{each['mean']:.2f} [{each['low']:.2f}, {each['high']:.2f}]"
            if isinstance(each, dict)
            else f"{each:.2f}"
            for each in map(row.__getitem__, names)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines
