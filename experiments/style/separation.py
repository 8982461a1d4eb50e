"""How well mixtures are separated, on sounds that were learnt and on sounds that were never heard.

    ./.venv/bin/python -m experiments.style.separation \\
        --drums=seen:standard --drums=unseen:black_pearl \\
        --rest=seen:violin --rest=unseen:harp --output=experiments/style/separation.json

The folders are those that `style render` wrote, each with one sound. Of their test performances,
mixtures of each kind of drums with each kind of other music are made and separated.
"""

import argparse
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from configs.separation import SEPARATOR
from pipelines.audio import reading, separation
from pipelines.audio.separation import Separator
from pipelines.runtime import tensorflow
from pipelines.runtime.files import write_json
from pipelines.runtime.progress import Progress
from pipelines.systems.style.measuring import evaluation
from pipelines.systems.style.separation import mask_folders

_RATE = 16_000
_SECONDS = 10.0
_APART_DB = 5.0
_LOUDNESS_DB = -26.0
_KINDS = ("seen", "unseen")

# The drums and the rest of a mixture, each [frames, 1], to what is found of them.
Method = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def main() -> None:
    """Measures all methods on all kinds of mixtures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drums", action="append", required=True, help="seen:DIR or unseen:DIR")
    parser.add_argument("--rest", action="append", required=True, help="seen:DIR or unseen:DIR")
    parser.add_argument("--run_dir", default=mask_folders.OURS, help="the network")
    parser.add_argument("--mixtures", type=int, default=60, help="of each kind")
    parser.add_argument("--split", default="test")
    parser.add_argument("--output", required=True, help="the JSON file to write")
    arguments = parser.parse_args()
    tensorflow.start("ERROR", with_magenta=False)
    methods = _methods(arguments.run_dir)
    drums, rest = (_folders(each) for each in (arguments.drums, arguments.rest))
    kinds = [(a, b) for a in _KINDS for b in _KINDS if a in drums and b in rest]
    found: dict[str, Any] = {
        "seconds": _SECONDS,
        "sample_rate": _RATE,
        "mixtures": arguments.mixtures,
        "split": arguments.split,
    }
    with Progress("mixtures separated", arguments.mixtures * len(kinds)) as progress:
        for done, (of_drums, of_rest) in enumerate(kinds):
            rows = []
            for number in range(arguments.mixtures):
                sources = _mixture(drums[of_drums], rest[of_rest], arguments.split, [done, number])
                rows.append({name: _measured(method, *sources) for name, method in methods.items()})
                progress.update(done * arguments.mixtures + number + 1)
            found[f"{of_drums} drums, {of_rest} rest"] = _table(rows)
    write_json(arguments.output, found)
    for kind, table in found.items():
        if isinstance(table, dict):
            for name, columns in table.items():
                print("|", kind, "|", name, "|", " | ".join(map(_shown, columns.values())), "|")


def _methods(run_dir: str) -> dict[str, Method]:
    from pipelines.systems.style.separation import mask_model

    net = mask_model.separator(mask_model.open_model(run_dir))
    return {
        "mixture": lambda drums, rest: (drums + rest, drums + rest),
        "hpss": _by(separation.HPSS),
        "net": _by(net),
        "ideal ratio mask": _ideal,
    }


def _by(separator: Separator) -> Method:
    def separated(drums: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chunks = list(separation.separate([drums + rest], _RATE, separator))
        first, second = (np.concatenate(each) for each in zip(*chunks))
        return first, second

    return separated


def _ideal(drums: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By the mask of the true magnitudes, |drums| / (|drums| + |rest|)."""
    import librosa

    size = separation.window(_RATE, SEPARATOR.window_seconds)
    padding = size + -len(drums) % (size // 4)
    spectra = [
        librosa.stft(
            np.pad(each[:, 0], (size, padding)), n_fft=size, hop_length=size // 4, center=False
        )
        for each in (drums, rest)
    ]
    magnitudes = [np.abs(each) for each in spectra]
    mask = magnitudes[0] / np.maximum(sum(magnitudes), 1e-9)
    found = librosa.istft(sum(spectra) * mask, hop_length=size // 4, center=False, n_fft=size)
    first = found[size : size + len(drums), np.newaxis]
    return first, drums + rest - first


def _folders(arguments: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for argument in arguments:
        kind, _, folder = argument.partition(":")
        if kind not in _KINDS:
            raise SystemExit(f"{argument}: begin it with seen: or unseen:")
        found.setdefault(kind, []).append(folder)
    return found


def _mixture(
    drums: Sequence[str], rest: Sequence[str], split: str, seed: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Drums and other music of a split, the rest up to 5 dB softer or louder; [frames, 1]."""
    rng = np.random.default_rng(seed)
    while True:
        parts = []
        for folders in (drums, rest):
            paths = reading.sound_files(
                pathlib.Path(folders[int(rng.integers(len(folders)))], split)
            )
            path = paths[rng.integers(len(paths))]
            with reading.opened(path) as sound:
                start = rng.uniform(0, max(sound.frames / sound.rate - _SECONDS, 0))
            samples = reading.read(path, _RATE, 1e9, start, _SECONDS)
            parts.append(np.pad(samples, (0, round(_SECONDS * _RATE) - len(samples))))
        levels = [float(np.sqrt(np.mean(np.square(part)))) for part in parts]
        if min(levels) > 1e-3:  # Else one of them hardly plays here.
            break
    apart = rng.uniform(-_APART_DB, _APART_DB)
    gains = 10 ** (np.array([_LOUDNESS_DB, _LOUDNESS_DB + apart]) / 20) / levels
    first, second = (
        (part * gain).astype(np.float32)[:, np.newaxis] for part, gain in zip(parts, gains)
    )
    return first, second


def _measured(method: Method, drums: np.ndarray, rest: np.ndarray) -> tuple[float, float]:
    found = method(drums, rest)
    first, second = (
        separation.si_sdr(estimate[:, 0], truth[:, 0])
        for estimate, truth in zip(found, (drums, rest), strict=True)
    )
    return first, second


def _table(rows: Sequence[dict[str, tuple[float, float]]]) -> dict[str, dict[str, Any]]:
    """The means of each method, and of how far the network is above HPSS, with intervals."""
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    columns["net over hpss"] = columns["net"] - columns["hpss"]
    return {
        name: {
            "drums": _interval(values[:, 0]),
            "rest": _interval(values[:, 1]),
            "both": _interval(values.mean(axis=1)),
        }
        for name, values in columns.items()
    }


def _interval(values: np.ndarray) -> dict[str, float]:
    """The mean and its 95% interval, by a bootstrap over mixtures."""
    return evaluation.interval(values, digits=2)


def _shown(found: dict[str, float]) -> str:
    return f"{found['mean']:.1f} [{found['low']:.1f}, {found['high']:.1f}]"


if __name__ == "__main__":
    main()
