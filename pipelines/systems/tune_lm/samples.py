"""Measures what a language model of tunes makes up: the work of `evaluate --samples`.

Four sets of tunes are measured in the same way:

  held_out         tunes of people that the model has not seen
  training         the yardstick: what other tunes of people are like
  samples          drawn under the grammar, with the meters, keys, rhythms and forms of held-out
  without_grammar  drawn with the same meters, keys and rhythms, and else as the model likes

Nothing is filtered: all samples count, and those that are no tunes are told.
"""

import collections
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.examples.written_tunes import Tune
from pipelines.judge import distributions, verdicts
from pipelines.representations import distances
from pipelines.representations.abc_tokens import notation, steps, strains, written
from pipelines.runtime.app import UserError
from pipelines.systems.tune_lm import conditions, forms, generation, tasks, tune_features
from pipelines.systems.tune_lm.conditions import Conditions
from pipelines.systems.tune_lm.decoding import Sampling
from pipelines.tunes.similarity import Melodies

SETS = ("held_out", "training", "samples", "without_grammar")
# From here on two melodies are versions of one tune, or nearly so.
_COPY = 0.9


class Compared(NamedTuple):
    """What was measured, as JSON values, and the tunes that were drawn, by their sets."""

    result: dict[str, Any]
    drawn: dict[str, list[written.Tune]]


class Asked(NamedTuple):
    """What a sample was asked to be, and its shape, as `strains.shape` gives it."""

    conditions: Conditions
    shape: list[tuple[bool, int, tuple[int, ...]]]


def compare(
    network: Any,
    training: Sequence[Tune],
    held_out: Sequence[Tune],
    number: int,
    sampling: Sampling,
) -> Compared:
    """Draws samples, and compares them with held-out tunes.

    Args:
      network: a `models.tune_lm.TuneLM`.
      training: the tunes that it was trained on.
      held_out: tunes that it was not trained on, in whose likeness samples are asked for.
      number: how many samples are drawn with the grammar, and how many without it.
      sampling: how they are drawn.

    Returns:
      How samples were drawn; "sets", by name, as of `measured`; "features", by name and set; and
      "judge", by set, as of `judge.distributions`.

    Raises:
      UserError: where no held-out tune has a meter, or no sample is a tune.
    """
    real = {"held_out": _written(held_out), "training": _written(training)}
    asked = [asked_like(tune) for tune in real["held_out"] if tune.bars[0].meter]
    if not asked:
        raise UserError(
            "all of these tunes are in free meter, which has no form to ask for; leave out "
            "--samples"
        )
    asked = [asked[i % len(asked)] for i in range(number)]
    sets: dict[str, tuple[list[written.Tune], list[Asked] | None, Mapping[str, int]]] = {
        name: (tunes, None, {}) for name, tunes in real.items()
    }
    for name, in_form in (("samples", True), ("without_grammar", False)):
        work = [tasks.new(one.conditions, in_form) for one in asked]
        drawn = generation.draw(network, work, sampling)
        there = [(tune, one) for tune, one in zip(drawn.tunes, asked, strict=True) if tune]
        if not there:
            raise UserError(
                f"none of the {number} samples is a tune; train the model further, draw more, or "
                "leave out --samples"
            )
        sets[name] = [tune for tune, _ in there], [one for _, one in there], drawn.left_out
    learnt = _Learnt(real["training"])
    result: dict[str, Any] = {"number": number, **sampling_settings(sampling), "sets": {}}
    for name, (tunes, wanted, left_out) in sets.items():
        result["sets"][name] = {
            **measured(tunes, wanted, learnt if name != "training" else None),
            "left_out": dict(sorted(left_out.items())),
        }
    every = {name: tunes for name, (tunes, *_) in sets.items()}
    result["features"] = features(every)
    # Copies are looked for among the tunes of training, above.
    judge = verdicts.open_judge("", verdicts.that_judge_the_music())
    result["judge"] = {
        name: distributions.judged(judge, every[name]) for name in SETS if name != "training"
    }
    return Compared(result, {name: tunes for name, tunes in every.items() if name not in real})


def book(tunes: Sequence[written.Tune]) -> str:
    """The samples of a set in ABC notation."""
    named = (tune._replace(title=f"Sample {i}") for i, tune in enumerate(tunes, start=1))
    return "\n".join(notation.write(tune, i) for i, tune in enumerate(named, start=1))


def sampling_settings(sampling: Sampling) -> dict[str, float]:
    """How samples were drawn, as JSON values."""
    return {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "repetition": sampling.repetition,
        "seed": sampling.seed,
    }


def _written(tunes: Sequence[Tune]) -> list[written.Tune]:
    return [steps.decode(steps.tokens_of(tune.steps), tune.given) for tune in tunes]


def asked_like(tune: written.Tune) -> Asked:
    """What to ask for to get a tune of the meter, key, rhythm and form of another one.

    Where its form cannot be written with letters, it is AABB of 8 bars.
    """
    first = tune.bars[0]
    meter = first.meter
    if meter is None:
        raise ValueError("a tune in free meter has no form")
    made = _form_of(tune) or conditions.make(meter, first.key, tune.rhythm)
    made = made._replace(rhythm=tune.rhythm, tempo=tune.tempo)
    return Asked(made, _shape_of(made))


def _form_of(tune: written.Tune) -> Conditions | None:
    """The meter, key and form of a tune; None where its bars are not just those of a form."""
    found = strains.shape(tune)
    first = tune.bars[0]
    if tune.parts or found is None or len(found) > forms.MAX_STRAINS or first.meter is None:
        return None
    ending_bars = {bars for _, _, bars in found if bars}
    if len(ending_bars) > 1 or any(len(set(bars)) > 1 or len(bars) != 2 for bars in ending_bars):
        return None
    names = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    letters = "".join(
        names[number] * (1 + repeats) + "'" * bool(bars)
        for number, (repeats, _, bars) in enumerate(found)
    )
    counts = [count for _, count, _ in found]
    size = steps.measure(first.meter)
    pickup = first.length if first.length < size else 0
    at = next(iter(ending_bars), (1,))[0]
    try:
        form = forms.form(letters, counts, first.meter, pickup, at)
    except forms.FormError:
        return None
    if [bar.length for bar in form.bars] != [bar.length for bar in tune.bars]:
        return None
    return conditions.make(first.meter, first.key, tune.rhythm, letters, counts, pickup, at)


def _shape_of(asked: Conditions) -> list[tuple[bool, int, tuple[int, ...]]]:
    """The shape of a form, by its letters and the lengths of its bars alone."""
    letters = asked.letters
    found: list[tuple[bool, int, tuple[int, ...]]] = []
    size = steps.measure(asked.meter)
    bars, at = asked.form.bars, 0
    for name in dict.fromkeys(letters.replace("'", "")):
        begin = at
        at += 1
        # A strain goes on while nothing but a bar line, or an ending, stands before the next bar.
        while at < len(bars) and _goes_on(bars[at].before):
            at += 1
        of_strain = bars[begin:at]
        begins = [n for n, bar in enumerate(of_strain) if forms.FIRST_ENDING in bar.before]
        then = [n for n, bar in enumerate(of_strain) if forms.SECOND_ENDING in bar.before]
        once = of_strain[: then[0]] if then else of_strain
        endings = (then[0] - begins[0], len(of_strain) - then[0]) if then else ()
        count = sum(bar.length for bar in once) // size
        found.append((name * 2 in letters, count, endings))
    return found


def _goes_on(before: Sequence[int]) -> bool:
    return before == (forms.LINE,) or bool({forms.FIRST_ENDING, forms.SECOND_ENDING} & set(before))


class _Learnt:
    """What training tunes have: their runs of intervals, and their melodies."""

    def __init__(self, tunes: Sequence[written.Tune]):
        self.grams = {gram for tune in tunes for gram in tune_features.grams(tune)}
        self.melodies = Melodies([tune_features.melody(tune) for tune in tunes])


def measured(
    tunes: Sequence[written.Tune], asked: Sequence[Asked] | None, learnt: _Learnt | None
) -> dict[str, Any]:
    """What is measured in a set of tunes.

    Args:
      tunes: at least one.
      asked: what each was asked to be; None of tunes that people made.
      learnt: what training tunes have; None where it is not compared.

    Returns:
      "full_bars": the share of the bars; "all_bars_full": that of the tunes; "counted": the share
      of tunes whose strains are whole numbers of bars; "form" and "endings": the share whose form,
      and whose endings where such were asked for, are as asked; "tonic": that in which a key finder
      hears the tonic of the key; "ends_on_tonic"; "known_grams": of all runs of 16 intervals;
      "nearest": how similar the nearest training tune is.
    """
    bars = np.array([strains.full_bars(tune) for tune in tunes])
    shapes = [strains.shape(tune) for tune in tunes]
    tonics = [tune.bars[0].key.tonic for tune in tunes]
    found: dict[str, Any] = {
        "tunes": len(tunes),
        "full_bars": _share(bars[:, 0].sum(), bars[:, 1].sum()),
        "all_bars_full": _mean(bars[:, 0] == bars[:, 1]),
        "counted": _mean(shape is not None for shape in shapes),
        "tonic": _mean(
            tune_features.guessed_tonic(tune) == tonic
            for tune, tonic in zip(tunes, tonics, strict=True)
        ),
        "ends_on_tonic": _mean(
            strains.sounds(tune)[-1].pitch % 12 == tonic
            for tune, tonic in zip(tunes, tonics, strict=True)
        ),
    }
    if asked is not None:
        wanted = [one.shape for one in asked]
        found["form"] = _mean(a == b for a, b in zip(shapes, wanted, strict=True))
        with_endings = [
            _endings(a) == _endings(b)
            for a, b in zip(shapes, wanted, strict=True)
            if any(_endings(b))
        ]
        found["endings"] = _mean(with_endings)
    if learnt:
        grams = [gram for tune in tunes for gram in tune_features.grams(tune)]
        found["known_grams"] = _mean(gram in learnt.grams for gram in grams)
        melodies = [tune_features.melody(tune) for tune in tunes]
        nearest = learnt.melodies.nearest(melodies, 1)[1][:, 0]
        found["nearest"] = {
            "median": float(np.median(nearest)),
            "95%": float(np.percentile(nearest, 95)),
            "copies": float(np.mean(nearest >= _COPY)),
        }
    return found


def _endings(shape: Sequence[tuple[bool, int, tuple[int, ...]]] | None) -> list[tuple[int, ...]]:
    return [endings for _, _, endings in shape or ()]


def _mean(values) -> float | None:
    found = list(values)
    return float(np.mean(found)) if found else None


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def features(sets: Mapping[str, Sequence[written.Tune]]) -> dict[str, dict[str, dict[str, float]]]:
    """Features by name and set: the mean, and how near the set's histogram is to that of held-out.

    Args:
      sets: tunes by the name of their set, "held_out" among them.
    """
    histograms = {name: tune_features.histograms(tunes) for name, tunes in sets.items()}
    means = {name: tune_features.means(tunes) for name, tunes in sets.items()}
    found: dict[str, dict[str, dict[str, float]]] = collections.defaultdict(dict)
    for feature, reference in histograms["held_out"].items():
        for name, of_set in histograms.items():
            row = {"mean": means[name][feature]} if feature in means[name] else {}
            if name != "held_out":
                row["overlap_area"] = float(distances.overlap_area(of_set[feature], reference))
                row["js_divergence"] = distances.js_divergence(of_set[feature], reference)
            found[feature][name] = row
    return dict(found)


_ROWS = {
    "tunes": "tunes", "full_bars": "full bars", "all_bars_full": "tunes with all bars full",
    "counted": "strains of whole bars", "form": "form as asked", "endings": "endings as asked",
    "tonic": "tonic by the key finder", "ends_on_tonic": "last note the tonic",
    "known_grams": "runs of 16 intervals also in training",
}  # fmt: skip


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines of what `compare` returns as tables in Markdown."""
    sets = result["sets"]
    headings = " | ".join(name.replace("_", " ") for name in SETS)
    yield f"| {result['number']} samples, temperature {result['temperature']:g} | {headings} |"
    yield "|---|" + "---|" * len(SETS)
    for key, heading in _ROWS.items():
        cells = [_cell(sets[name].get(key), key) for name in SETS]
        yield f"| {heading} | {' | '.join(cells)} |"
    for key, heading in (("median", "median"), ("95%", "95th percentile"), ("copies", "copies")):
        cells = [_cell(sets[name].get("nearest", {}).get(key), "nearest") for name in SETS]
        yield f"| similarity to the nearest training tune, {heading} | {' | '.join(cells)} |"
    left_out = [sum(sets[name]["left_out"].values()) for name in SETS]
    yield f"| no tune, left out | {' | '.join(map(str, left_out))} |"
    yield ""
    others = [name for name in SETS if name != "held_out"]
    columns = [f"mean: {name.replace('_', ' ')}" for name in SETS]
    columns += [f"overlap: {name.replace('_', ' ')}" for name in others]
    yield f"| feature | {' | '.join(columns)} |"
    yield "|---|" + "---|" * len(columns)
    for feature, row in result["features"].items():
        cells = [_cell(row[name].get("mean"), "mean") for name in SETS]
        cells += [_cell(row[name]["overlap_area"], "overlap") for name in others]
        yield f"| {feature.replace('_', ' ')} | {' | '.join(cells)} |"
    yield ""
    yield from distributions.table(
        {name.replace("_", " "): judged for name, judged in result["judge"].items()}
    )


def _cell(value: float | None, key: str) -> str:
    if value is None:
        return ""
    if key == "tunes":
        return str(value)
    return f"{value:.3f}" if key in ("mean", "overlap", "nearest") else f"{value:.2%}"
