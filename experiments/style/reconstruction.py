"""What spectrograms lose: sounds through STFT, mel and CQT and back, with intervals.

    ./.venv/bin/python -m experiments.style.reconstruction --drums=brush --melodies=fiddle \\
        --output=experiments/style/reconstruction.json
"""

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipelines.audio import reading, spectrograms
from pipelines.runtime.files import write_json
from pipelines.systems.style.measuring import evaluation
from pipelines.systems.style.sounds import reconstructing

_RATE = 16_000
_SECONDS = 3.0
_COLUMNS = ("spectral_convergence_db", "log_spectral_distance_db", "signal_to_noise_db")


def main() -> None:
    """Measures all ways back on all sounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drums", required=True, help="a folder of rendered drums")
    parser.add_argument("--melodies", required=True, help="a folder of rendered melodies")
    parser.add_argument("--output", required=True, help="the JSON file to write")
    arguments = parser.parse_args()
    found: dict[str, Any] = {"seconds": _SECONDS, "sample_rate": _RATE}
    for kind in ("drums", "melodies"):
        paths = reading.sound_files(vars(arguments)[kind])
        sounds = [reading.read(path, _RATE, 1e9, 0, _SECONDS) for path in paths]
        found[kind] = {"sounds": len(sounds)}
        for name, back in _ways().items():
            rows = [_measured(back(samples), samples) for samples in sounds]
            found[kind][name] = {each: _interval([row[each] for row in rows]) for each in _COLUMNS}
            print(kind, name, json.dumps(found[kind][name]), flush=True)
    write_json(arguments.output, found)


def _ways() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    def through(name: str) -> Callable[[np.ndarray], np.ndarray]:
        chosen = spectrograms.REPRESENTATIONS[name]
        return lambda samples: reconstructing.invert(samples, _RATE, chosen)

    def with_phases(samples: np.ndarray) -> np.ndarray:
        transformed = spectrograms.complex_cqt(samples, _RATE)
        return spectrograms.sound_of_complex_cqt(transformed, _RATE, len(samples))

    return {
        **{name: through(name) for name in spectrograms.REPRESENTATIONS},
        "cqt with phases": with_phases,
    }


def _measured(again: np.ndarray, samples: np.ndarray) -> dict[str, float]:
    noise = np.sum(np.square(again - samples, dtype=np.float64))
    signal = np.sum(np.square(samples, dtype=np.float64))
    measured = reconstructing.measured(again, samples, _RATE)
    return {
        **{name: float(value) for name, value in measured.items() if value is not None},
        "signal_to_noise_db": float(10 * np.log10(signal / noise)),
    }


def _interval(values: Sequence[float]) -> dict[str, float]:
    """The mean and its 95% interval, by a bootstrap over performances, and the largest."""
    return {**evaluation.interval(values, digits=2), "largest": round(float(np.max(values)), 2)}


if __name__ == "__main__":
    main()
