"""Measures how fast the judge looks for copies, among the tunes there are and among 50,000.

    python -m experiments.judge.copied_speed --records=tfrecords/tunes --input=DIR/abc \
        --output=experiments/judge/copied_speed.json

There are no 50,000 public tunes here. So the others are real ones, moved to another key, with 30 to
60% of their notes changed, edited or ornamented, and with their bars in another order.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from experiments.judge import measuring
from pipelines.judge import learning
from pipelines.judge.criteria import copied
from pipelines.judge.criteria.copied import CopyJudge
from pipelines.judge.faults import copies
from pipelines.judge.finding import Known
from pipelines.runtime import app, files

FLAGS = flags.FLAGS
_LARGE, _QUERIES = 50_000, 200
_CHANGED = 0.5


def _define_flags() -> None:
    measuring.define_flags()
    flags.DEFINE_integer("seed", 1, "Seed of the tunes that are made up.")
    flags.DEFINE_string("output", None, "JSON file to write.")


def _many(tunes: Sequence[Known], rng: np.random.Generator) -> list[Known]:
    """50,000 tunes: those there are, and others made of them."""
    made = list(tunes)
    changes = (copies.notes_changed, copies.notes_edited, copies.ornamented)
    while len(made) < _LARGE:
        known = tunes[int(rng.integers(len(tunes)))]
        tune = copies.transposed(known.tune, int(rng.integers(-6, 6)))
        tune = changes[int(rng.integers(3))](tune, rng, float(rng.uniform(0.3, 0.6)))
        bars = tuple(tune.bars[place] for place in rng.permutation(len(tune.bars)))
        made.append(known._replace(id=f"made/{len(made)}", tune=tune._replace(bars=bars)))
    return made


def _measured(
    index: Sequence[Known], judged: Sequence[Known], rng: np.random.Generator
) -> dict[str, Any]:
    """How long verdicts on copies take, half of whose notes are changed, and which are right."""
    started = time.perf_counter()
    judge = CopyJudge(copied.index_of(index))
    opened = time.perf_counter() - started
    wall, cpu, right = [], [], []
    for known in judged:
        tune = copies.notes_changed(known.tune, rng, _CHANGED)
        begin = time.perf_counter(), time.process_time()
        nearest = judge(tune).evidence["nearest"]
        wall.append(time.perf_counter() - begin[0])
        cpu.append(time.process_time() - begin[1])
        right.append(bool(nearest) and nearest[0]["id"] == known.id)
    return {
        "opened_s": round(opened, 2),
        "wall_ms": _times(wall),
        "cpu_ms": _times(cpu),
        "original_is_nearest": round(float(np.mean(right)), 4),
    }


def _times(seconds: Sequence[float]) -> dict[str, float]:
    found = {"mean": np.mean(seconds), "median": np.median(seconds)}
    found["95%"] = np.quantile(seconds, 0.95)
    return {name: round(1000 * float(value), 1) for name, value in found.items()}


def main() -> None:
    """Measures both indexes."""
    tunes = learning.read(FLAGS.records, FLAGS.input)
    every = [known for some in tunes.values() for known in some]
    rng = np.random.default_rng(FLAGS.seed)
    test = tunes[learning.TEST]
    judged = [test[place] for place in rng.permutation(len(test))[:_QUERIES]]
    result = {str(len(some)): _measured(some, judged, rng) for some in (every, _many(every, rng))}
    files.write_json(FLAGS.output, result)
    for count, found in result.items():
        print(f"{count} tunes: {found}")


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=["records", "input", "output"])
