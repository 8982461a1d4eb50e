"""Writes what a language model of tunes makes up: the work of `generate` with its configs."""

import collections
import dataclasses
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.judge import keeping, verdicts
from pipelines.media import describing, pieces, sound
from pipelines.music.abc import reader
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations.abc_tokens import notation, steps, vocabulary, written
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime import files
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.tune_lm import decoding, grammar, naming
from pipelines.systems.tune_lm.decoding import Request, Sampling
from pipelines.systems.tune_lm.tasks import Task


@dataclasses.dataclass(frozen=True)
class Options:
    """How tunes are drawn and written.

    Attributes:
      num_outputs: how many.
      sampling: how they are drawn.
      title: of each, before its number, where it gets no other.
      keep: the least scores by the judge, from `judge.keeping.parse`: tunes are drawn until enough
        have them; None keeps all.
      titles_run, titles_file: what gives titles, as `naming.titles` takes them; None gives none.
      pianoroll: whether to draw piano rolls.
      overwrite: whether to replace other music of the same name.
      describe: whether `pieces.json` says how the pieces were made, and their inputs are kept.
      tunebook: the path of a file in ABC notation with all tunes; None writes none.
      audio: the ending of the sound files, from `sound.choose`; None writes none.
      instrument, sound_font, synthesizer: how they sound, as `audio.synthesis.render` takes it.
    """

    num_outputs: int = 5
    sampling: Sampling = dataclasses.field(default_factory=Sampling)
    keep: Mapping[str, float] | None = None
    title: str = "Tune"
    titles_run: str | None = None
    titles_file: str | None = None
    pianoroll: bool = True
    overwrite: bool = False
    describe: bool = False
    tunebook: str | None = None
    audio: str | None = None
    instrument: str | None = None
    sound_font: str | None = None
    synthesizer: str | None = None


class Drawn(NamedTuple):
    """Tunes that a model wrote.

    Attributes:
      tunes: for each that was asked for the tune, or None where its tokens are none.
      left_out: how many are none, by reason.
    """

    tunes: list[Tune | None]
    left_out: collections.Counter[str]


def draw(network: Any, tasks: Sequence[Task], sampling: Sampling) -> Drawn:
    """Draws a tune for each of some tasks, which have the same cadences.

    Args:
      network: a `models.tune_lm.TuneLM`.
      tasks: what to write.
      sampling: how tokens are drawn.

    Raises:
      UserError: where the grammar has no tune for a task.
    """
    programs = list(dict.fromkeys(tuple(task.items) for task in tasks))
    number = {program: i for i, program in enumerate(programs)}
    (cadences,) = {task.cadences for task in tasks}
    try:
        compiled = grammar.compiled(programs, cadences=cadences)
    except ValueError as error:
        raise UserError(f"{error}; give another form, or another pickup") from error
    requests = [Request(task.given, number[tuple(task.items)]) for task in tasks]
    tunes: list[Tune | None] = []
    left_out: collections.Counter[str] = collections.Counter()
    drawn = decoding.draw(network, compiled, requests, sampling)
    for task, tokens in zip(tasks, drawn, strict=True):
        try:
            tune = _tune(task, tokens)
        except _NoTune as error:
            left_out[str(error)] += 1
            tunes.append(None)
            continue
        tunes.append(tune)
    return Drawn(tunes, left_out)


class _NoTune(Exception):
    """Tokens that are no tune, and why."""


def _tune(task: Task, tokens: Sequence[vocabulary.Token]) -> Tune:
    """The tune of the tokens of a task."""
    if tokens[-1].what != vocabulary.END:
        raise _NoTune(f"no end after {len(tokens)} tokens")
    try:
        tune = steps.decode(tokens, task.given)
    except ValueError as error:
        raise _NoTune("a sign where none can stand") from error
    tune = tune._replace(bars=tune.bars[task.first_bar :])
    if not any(note.pitch is not None for bar in tune.bars for note in bar.notes):
        raise _NoTune("no notes")
    try:
        reader.perform(written.to_score(tune))
    except Rejected as error:
        raise _NoTune(error.reason.replace("_", " ")) from error
    return tune


class Written(NamedTuple):
    """What was written: the paths of the MIDI files, and which tunes were left out, by reason."""

    paths: list[str]
    left_out: Mapping[str, int]


def generate(
    network: Any,
    task: Task,
    mode: str,
    output_dir: str,
    name: str,
    settings: Mapping[str, Any],
    options: Options,
    given: Sequence[tuple[str, NoteSequence]] = (),
) -> Written:
    """Draws tunes, and writes each as MIDI, ABC notation, piano roll and sound.

    Args:
      network: a `models.tune_lm.TuneLM`.
      task: what to write.
      mode: that of `generate`.
      output_dir: the folder of the files; made where it does not exist.
      name: what the names of files begin with.
      settings: what `pieces.json` says of the model, and of what was asked for.
      options: how to draw and write.
      given: the path and the music of each input.

    Raises:
      UserError: where no tune came out, or a file with other music is in the way.
    """
    number, seed = options.num_outputs, options.sampling.seed
    drawn = _drawn(network, task, options)
    if drawn.left_out:
        reasons = ", ".join(f"{count} {reason}" for reason, count in drawn.left_out.most_common())
        say(f"{sum(drawn.left_out.values())} of {number} are no tunes, and left out: {reasons}")
    if not any(drawn.tunes):
        raise UserError(
            "the model wrote no tune; ask for fewer bars, train it further, or leave out "
            "--nogrammar"
        )
    titled = list(_titled(drawn.tunes, options))
    texts = [notation.write(tune, i + 1) for i, tune in titled]
    if options.tunebook:
        _require_book(options.tunebook, texts, options.overwrite)
    os.makedirs(output_dir, exist_ok=True)
    sources = [os.path.splitext(os.path.basename(path))[0] for path, _ in given]
    begin = "_".join([name, mode, *sources, f"seed{seed}"])
    play = sound.writer(options.audio, options.instrument, options.sound_font, options.synthesizer)
    paths = []
    with Progress("pieces written", number) as progress:
        for (i, tune), text in zip(titled, texts, strict=True):
            path = os.path.join(output_dir, f"{begin}_{i:03d}-of-{number:03d}.mid")
            sequence = reader.perform(written.to_score(tune))
            pieces.write(sequence, path, options.pianoroll, options.overwrite, text)
            if options.overwrite:
                sound.remove(path, kept=options.audio)
            if play:
                play(sequence, path)
            paths.append(path)
            progress.update(i + 1)
    if options.tunebook:
        _write_book(options.tunebook, texts)
    if options.describe:
        describing.write(output_dir, mode, settings, given, paths, play=play)
    return Written(paths, dict(drawn.left_out))


def _drawn(network: Any, task: Task, options: Options) -> Drawn:
    """The tunes that are written: the first ones, or those that pass the judge."""
    number, sampling = options.num_outputs, options.sampling
    if options.keep is None:
        return draw(network, [task] * number, sampling)

    def candidates() -> Iterator[tuple[Tune | None, Tune | None]]:
        for again in itertools.count():
            # The first are those that would be written without the judge.
            seed = sampling.seed
            if again:
                seed = int(np.random.SeedSequence((seed, again)).generate_state(1)[0])
            tunes = draw(network, [task] * number, dataclasses.replace(sampling, seed=seed)).tunes
            yield from ((tune, tune) for tune in tunes)

    kept = keeping.passing(candidates(), verdicts.open_judge(""), options.keep, number)
    return Drawn(list(kept), collections.Counter())


def _titled(tunes: Sequence[Tune | None], options: Options) -> Iterator[tuple[int, Tune]]:
    """The tunes that there are, with their numbers from 0, under their titles."""
    numbered = [(i, tune) for i, tune in enumerate(tunes) if tune is not None]
    given: list[str | None] = [None] * len(numbered)
    if options.titles_run:
        texts = [notation.write(tune) for _, tune in numbered]
        given = naming.titles(texts, options.titles_run, options.titles_file)
    for (i, tune), found in zip(numbered, given, strict=True):
        title = found or f"{options.title} {i + 1} (seed {options.sampling.seed})"
        yield i, tune._replace(title=title)


def _book(texts: Sequence[str]) -> bytes:
    return "\n".join(texts).encode("utf-8")


def _require_book(path: str, texts: Sequence[str], overwrite: bool) -> None:
    """Raises UserError where another tunebook is in the way, before anything is written."""
    if not overwrite and os.path.exists(path):
        with open(path, "rb") as file:
            if file.read() != _book(texts):
                raise UserError(f"{path} exists; give another --tunebook, or --overwrite")


def _write_book(path: str, texts: Sequence[str]) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with files.replacing(path) as file:
        file.write(_book(texts))
