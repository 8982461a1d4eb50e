"""Measures what errors of velocity and timing mean: simple predictors, and takes of the same beat.

    ./.venv/bin/python -m experiments.dynamics.floors --records=groove \
        --output=experiments/dynamics/floors.json

`groove` is a folder of the Groove MIDI Dataset that `convert` made. All is measured by the metrics
of `evaluate`, on the windows of `flat-groove_4bar`. Prints a Markdown table.
"""

import argparse
import itertools
import json
import os
import re
from collections.abc import Iterator

import numpy as np

from pipelines.runtime import files, tensorflow

DRUMS = 9
STEPS_PER_BAR = 16
_CONFIG = "flat-groove_4bar"
_EVAL_SESSION = re.compile(r"(drummer\d+)/eval_session/(\d+)")
# Windows compared at once: 256 x 15,694 numbers are 16 MB.
_BATCH = 256


def medians(windows: np.ndarray, by_step: bool) -> np.ndarray:
    """The median velocity and offset of each drum, for each step of a bar.

    Args:
      windows: array shaped [n, steps, 27]; `STEPS_PER_BAR` divides the steps.
      by_step: takes the median of each step of the bar; otherwise one for all steps. A drum that
        is never hit in a step has there its median over all steps, and 0 where it is never hit.

    Returns:
      An array shaped [STEPS_PER_BAR, 18]: 9 velocities and 9 offsets.
    """
    bars = windows.reshape(-1, STEPS_PER_BAR, 3 * DRUMS)
    result = np.zeros((STEPS_PER_BAR, 2 * DRUMS), np.float32)
    for drum, part in itertools.product(range(DRUMS), range(2)):
        hits = bars[:, :, drum] > 0.5
        values = bars[:, :, DRUMS * (1 + part) + drum]
        if not hits.any():
            continue
        column = result[:, DRUMS * part + drum]
        column[:] = np.median(values[hits])
        for step in np.flatnonzero(hits.any(axis=0)) if by_step else ():
            column[step] = np.median(values[hits[:, step], step])
    return result


def with_constant(windows: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """Gives the hits of windows shaped [n, steps, 27] the velocities and offsets of `medians`."""
    repeated = np.tile(constant, (windows.shape[1] // STEPS_PER_BAR, 1))
    dynamics = np.broadcast_to(repeated, (*windows.shape[:2], 2 * DRUMS))
    return np.concatenate([windows[..., :DRUMS], dynamics], axis=-1)


def with_draws(windows: np.ndarray, training: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gives each hit the velocity and the offset of a training hit of its drum, at random."""
    result = windows.copy()
    for drum in range(DRUMS):
        should, seen = windows[..., drum] > 0.5, training[..., drum] > 0.5
        if not seen.any():
            continue
        drawn = rng.integers(seen.sum(), size=should.sum())
        for part in (1, 2):
            values = training[..., DRUMS * part + drum][seen]
            result[..., DRUMS * part + drum][should] = values[drawn]
    return result


def nearest(windows: np.ndarray, training: np.ndarray) -> np.ndarray:
    """The index of the training window whose hits have the highest F1 with each window's.

    Among equally near ones it is the first. A window without a hit gets the first of all.
    """

    def hits(array):
        return (array[..., :DRUMS] > 0.5).reshape(len(array), -1).astype(np.float32)

    theirs = hits(training)
    totals = theirs.sum(axis=1)
    found = []
    for start in range(0, len(windows), _BATCH):
        ours = hits(windows[start : start + _BATCH])
        both = ours @ theirs.T
        f1 = 2 * both / np.maximum(ours.sum(axis=1, keepdims=True) + totals, 1)
        found.append(f1.argmax(axis=1))
    return np.concatenate(found)


def with_neighbours(
    windows: np.ndarray, neighbours: np.ndarray, constant: np.ndarray
) -> np.ndarray:
    """Gives each hit what its neighbour's hit has there, and `constant` where that has none."""
    both = (windows[..., :DRUMS] > 0.5) & (neighbours[..., :DRUMS] > 0.5)
    both = np.concatenate([both, both, both], axis=-1)
    result = np.where(both, neighbours, with_constant(windows, constant))
    result[..., :DRUMS] = windows[..., :DRUMS]
    return result


def levelled(target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Takes the difference in loudness out of a prediction.

    The velocities of each drum are shifted by the median of their difference on common hits.

    Args:
      target: array shaped [n, steps, 27].
      predicted: the same; only its velocities are changed.
    """
    result = predicted.copy()
    both = (target[..., :DRUMS] > 0.5) & (predicted[..., :DRUMS] > 0.5)
    for drum in range(DRUMS):
        common, column = both[..., drum], DRUMS + drum
        if common.any():
            difference = target[..., column][common] - predicted[..., column][common]
            result[..., column] += np.median(difference)
    return result


def consecutive(takes: dict) -> Iterator[tuple]:
    """Yields each take's bars and the bars that follow them, with the tempo."""
    for bars, qpm in takes.values():
        yield bars[:-1], bars[1:], qpm


def of_two_drummers(takes: dict) -> Iterator[tuple]:
    """Yields the bars of each two drummers' takes of one beat, bar i beside bar i.

    Args:
      takes: for each (beat, drummer) the bars, shaped [bars, STEPS_PER_BAR, 27], and the tempo.

    Raises:
      ValueError: where two takes of a beat have different tempi.
    """
    for (one, first), (other, second) in itertools.combinations(sorted(takes.items()), 2):
        if one[0] != other[0]:
            continue
        if first[1] != second[1]:
            raise ValueError(f"{one} is at {first[1]} quarters a minute, {other} at {second[1]}")
        common = min(len(first[0]), len(second[0]))
        yield first[0][:common], second[0][:common], first[1]


def measure(pairs) -> dict:
    """The metrics of `evaluate` over pairs of a target and a prediction, with tempi.

    Args:
      pairs: tuples of two arrays shaped [n, steps, 27] and the tempo, one or one for each window.
    """
    from pipelines.representations.groove import GrooveMetrics

    metrics = GrooveMetrics()
    for target, predicted, qpm in pairs:
        metrics.update(target, predicted, np.broadcast_to(qpm, len(target)))
    return metrics.result()


class Groove:
    """The Groove MIDI Dataset's records, as `flat-groove_4bar` sees them."""

    def __init__(self, records: str):
        import configs
        from pipelines import representations
        from pipelines.representations.contract import EVAL

        self._records = records
        self._converter = configs.get(_CONFIG).data_converter
        self._representation = representations.of(self._converter)
        self._representation.set_mode(EVAL)

    def _pieces(self, split: str):
        from pipelines.examples import reading

        pattern = os.path.join(self._records, f"{split}.tfrecord*")
        return reading.open_note_sequences(pattern).pieces()

    def windows(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """The windows of a split, shaped [n, 64, 27], and the tempi of their pieces."""
        from pipelines.music.timing import first_qpm

        found, tempi = [], []
        for piece in self._pieces(split):
            examples = self._representation.encode(piece).examples
            found += [example.outputs for example in examples]
            tempi += [first_qpm(piece)] * len(examples)
        return np.array(found, np.float32), np.array(tempi)

    def takes(self) -> dict:
        """The takes of the evaluation sessions, for `of_two_drummers`."""
        from pipelines.music.timing import first_qpm

        found = {}
        for piece in self._pieces("test"):
            if match := _EVAL_SESSION.search(piece.filename or piece.id):
                grid = self._converter.grid(piece)
                bars = grid.reshape(-1, STEPS_PER_BAR, 3 * DRUMS)
                found[match[2], match[1]] = bars, first_qpm(piece)
        return found


def floors(groove: Groove, seed: int) -> dict:
    """Everything that this experiment measures, by name."""
    training, _ = groove.windows("train")
    windows, qpm = groove.windows("validation")
    takes = groove.takes()
    constant = medians(training, by_step=False)
    neighbours = training[nearest(windows, training)]
    rng = np.random.default_rng(seed)
    predictions = {
        "median of each drum": with_constant(windows, constant),
        "median of each drum and step": with_constant(windows, medians(training, by_step=True)),
        "a random training hit of the drum": with_draws(windows, training, rng),
        "nearest training window, drum medians elsewhere": with_neighbours(
            windows, neighbours, constant
        ),
        "nearest training window as it is": neighbours,
        "its hits with the median of each drum": with_constant(neighbours, constant),
    }
    result = {name: measure([(windows, found, qpm)]) for name, found in predictions.items()}
    result["two drummers' takes of one beat"] = measure(of_two_drummers(takes))
    result["the same, loudness of each drum made equal"] = measure(
        (target, levelled(target, predicted), tempo)
        for target, predicted, tempo in of_two_drummers(takes)
    )
    result["one drummer's consecutive bars, same takes"] = measure(consecutive(takes))
    bars = windows.reshape(len(windows), -1, STEPS_PER_BAR, 3 * DRUMS)
    follow = ((window[:-1], window[1:], tempo) for window, tempo in zip(bars, qpm))
    result["one drummer's consecutive bars, validation"] = measure(follow)
    counts = {"training": len(training), "validation": len(windows), "takes": len(takes)}
    apart = sorted(measure([pair])["velocity_mae"] for pair in of_two_drummers(takes))
    return {
        "seed": seed,
        "counts": counts,
        "measured": result,
        "velocity_mae_of_two_takes": [round(each, 1) for each in apart],
    }


def table(measured: dict) -> str:
    """A Markdown table of what `floors` measured."""
    lines = [
        "| what | hits compared | hit F1 | velocity MAE | timing MAE, ms |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, values in measured.items():
        right = round((values["recall"] or 0) * values["hits"])
        lines.append(
            f"| {name} | {right:,} | {values['f1']:.3f} | {values['velocity_mae']:.1f} "
            f"| {values['timing_mae_ms']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs the measurement from its flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", required=True, help="the folder of the records")
    parser.add_argument("--output", required=True, help="a file for the results as JSON")
    parser.add_argument("--seed", type=int, default=0, help="of the random training hits")
    arguments = parser.parse_args()
    tensorflow.start("ERROR")
    result = floors(Groove(arguments.records), arguments.seed)
    with files.replacing(arguments.output) as file:
        file.write((json.dumps(result, indent=1) + "\n").encode())
    print(table(result["measured"]))


if __name__ == "__main__":
    main()
