"""Bits a note of a trained model on held-out tunes, beside baselines: the work of `evaluate`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from models import ppm
from pipelines.examples.written_tunes import Tune
from pipelines.runtime.app import UserError, say
from pipelines.runtime.nearest import did_you_mean
from pipelines.systems.tune_lm import baselines, measure
from pipelines.systems.tune_lm.model import Model, probabilities

BASELINES = (baselines.UNIGRAM, baselines.KNESER_NEY, baselines.WITH_PPM)
MODEL, WITH_PPM = "model", "model+ppm"


def require_baseline(name: str | None) -> None:
    """Raises UserError for a baseline that does not exist."""
    if name and name not in BASELINES:
        hint = did_you_mean(name, BASELINES) or f"; there are {', '.join(BASELINES)}"
        raise UserError(f"--baseline={name}: there is no such baseline{hint}")


def measured(
    opened: Model, tunes: Sequence[Tune], validation: Sequence[Tune]
) -> dict[str, list[np.ndarray]]:
    """What a model gives to the tokens of tunes: by itself, and mixed with the tune so far.

    Args:
      opened: the model.
      tunes: those to measure.
      validation: those that say how much the tune so far counts.

    Returns:
      For MODEL and for WITH_PPM, the probabilities of the tokens of each tune.
    """
    alone = probabilities(opened.network, [*validation, *tunes])
    mixture = ppm.fit(alone[: len(validation)], _so_far(validation), baselines.PPM_ORDER)
    alone = alone[len(validation) :]
    mixed = [mixture.probabilities(*pair) for pair in zip(alone, _so_far(tunes))]
    return {MODEL: alone, WITH_PPM: mixed}


def of_baseline(
    name: str, tunes: Sequence[Tune], training: Sequence[Tune], validation: Sequence[Tune]
) -> list[np.ndarray]:
    """What a baseline gives to the tokens of tunes.

    Args:
      name: one of BASELINES.
      tunes: those to measure.
      training, validation: what it is fitted on.
    """
    price = baselines.fit(training, validation)[name]
    return [price(tune) for tune in tunes]


def _so_far(tunes: Sequence[Tune]) -> list[ppm.Predicted]:
    return [ppm.predict(tune.steps.tokens.tolist(), baselines.PPM_ORDER) for tune in tunes]


def report(
    found: Mapping[str, Sequence[np.ndarray]], tunes: Sequence[Tune], seed: int
) -> dict[str, Any]:
    """What each model pays for tunes, and what it saves beside the first.

    Args:
      found: for each model the probabilities of the tokens of each tune; the first may be a
        baseline.
      tunes: the tunes.
      seed: of the bootstrap over groups of versions.

    Returns:
      "bits", as of `measure.report`, by model; and "saved", as of `measure.gain`, by each model but
      the first, beside it.
    """
    groups = np.array([tune.group for tune in tunes])
    steps, corpora = [tune.steps for tune in tunes], [tune.corpus for tune in tunes]
    priced = {
        name: measure.Priced([measure.bits(one) for one in each], steps, groups, corpora)
        for name, each in found.items()
    }
    first, *others = priced
    return {
        "bits": {name: measure.report(each, seed) for name, each in priced.items()},
        "saved": {name: measure.gain(priced[first], priced[name], seed) for name in others},
    }


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """The lines of tables in Markdown, one for each model."""
    for name, found in result["bits"].items():
        yield f"{name}: {found['tunes']} tunes, {found['groups']} different"
        yield "| selection | notes | bits a written note | 95% interval | share of bits |"
        yield "|---|---|---|---|---|"
        yield measure.line("all", found["all"])
        for by in ("corpora", "strains", "bars", "tokens"):
            for selection, row in found[by].items():
                yield measure.line(f"{by}: {selection}", row)


def say_table(result: Mapping[str, Any]) -> None:
    """Shows the tables on stderr."""
    for line in table(result):
        say(line)
