"""Judges samples of the models here beside held-out tunes of people.

    python -m experiments.judge.models --records=tfrecords/tunes --input=DIR/abc \
        --run=lstm=runs/lstm --run=transformer=runs/transformer \
        --book=curves=curves.abc --output=experiments/judge/models.json

A language model of tunes (`--run`) is asked for 100 tunes of the meters, keys, rhythms and forms of
the first 100 held-out tunes, at two temperatures, with the grammar and without it; nothing is
chosen. What other models wrote is given as tunebooks (`--book`), of which the first 100 tunes are
judged. Copies are looked for among the tunes of training alone, so that held-out tunes are no
copies of themselves.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags

from experiments.judge import measuring
from pipelines.judge import distributions, learning, learnt, reading, verdicts
from pipelines.judge.criteria import criteria
from pipelines.judge.finding import Known
from pipelines.judge.verdicts import TuneJudge
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime import app, files, tensorflow
from pipelines.runtime.app import UserError

FLAGS = flags.FLAGS
_NUMBER = 100
_TEMPERATURES = (0.8, 1.0)


def _define_flags() -> None:
    measuring.define_flags()
    flags.DEFINE_multi_string("run", [], "NAME=RUN_DIR of a language model of tunes.")
    flags.DEFINE_multi_string("book", [], "NAME=FILE of what another model wrote.")
    flags.DEFINE_integer("seed", 1, "Seed of what is drawn.")
    flags.DEFINE_string("output", None, "JSON file to write.")


def _named(values: Sequence[str]) -> Iterator[tuple[str, str]]:
    for value in values:
        name, equals, path = value.partition("=")
        if not equals:
            raise UserError(f"{value}: give NAME=PATH")
        yield name, path


def _judge(train: Sequence[Known]) -> TuneJudge:
    """The judge of the project, to whom the tunes of training alone may be copied."""
    names = verdicts.ordered(list(criteria()))
    known = learnt.read(learnt.DEFAULT, names)
    keepers = {
        name: criteria()[name].learn(train, []) for name in names if criteria()[name].keeps_tunes
    }
    return TuneJudge(known._replace(arrays={**known.arrays, **keepers}))


def _drawn(run_dir: str, wanted: Sequence[Tune]) -> Iterator[tuple[str, list[Tune]]]:
    """What a model writes in the likeness of tunes, by how it is asked."""
    from pipelines.systems.tune_lm import generation, model, samples, tasks
    from pipelines.systems.tune_lm.decoding import Sampling

    network = model.open_model(run_dir, None, None).network
    asked = [samples.asked_like(tune) for tune in wanted]
    for temperature in _TEMPERATURES:
        for in_form, told in ((True, "grammar"), (False, "no grammar")):
            work = [tasks.new(one.conditions, in_form) for one in asked]
            sampling = Sampling(temperature=temperature, seed=FLAGS.seed)
            found = generation.draw(network, work, sampling).tunes
            yield f"temperature {temperature:g}, {told}", [tune for tune in found if tune]


def main() -> None:
    """Judges all sets of tunes."""
    tunes = learning.read(FLAGS.records, FLAGS.input)
    held_out = [known.tune for known in tunes[learning.TEST]]
    wanted = [tune for tune in held_out if tune.bars[0].meter][:_NUMBER]
    judge = _judge(tunes[learning.TRAIN])
    sets: dict[str, list[Tune]] = {"people, held out": held_out}
    if FLAGS.run:
        tensorflow.start("WARN", with_magenta=False)
    for name, run_dir in _named(FLAGS.run):
        for how, drawn in _drawn(run_dir, wanted):
            sets[f"{name}, {how}"] = drawn
    unjudged: dict[str, int] = {}
    for name, path in _named(FLAGS.book):
        read = list(reading.read(path))[:_NUMBER]
        sets[name] = [each.tune for each in read if each.tune]
        unjudged[name] = len(read) - len(sets[name])
    result: dict[str, Any] = {
        "seed": FLAGS.seed,
        "no_tunes": unjudged,
        "sets": {name: distributions.judged(judge, some) for name, some in sets.items()},
    }
    files.write_json(FLAGS.output, result)
    print("\n".join(distributions.table(result["sets"])))


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=["records", "input", "output"])
