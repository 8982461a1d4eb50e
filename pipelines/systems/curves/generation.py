"""Continues a user's tune and writes it: the work of `generate --mode=continue`."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.media import describing, pieces, reading, sound
from pipelines.music import melody
from pipelines.music.note_sequence import NoteSequence
from pipelines.music.timing import TempoMap, first_qpm
from pipelines.representations import curves
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.curves import continuing
from pipelines.systems.curves.model import Model

MODE = "continue"
_VELOCITY = 80
# Of a quarter: parts of the grid are whole numbers of them.
_TICKS = 480
# In quarters; notes that share less are tied by the player.
_LEAST_OVERLAP = 0.25


@dataclasses.dataclass(frozen=True)
class Options:
    """How a tune is continued and written.

    Attributes:
      bars: how many bars are added, besides the rest of the last one of the prompt.
      prompt_bars: how many bars of the input are the prompt; None for all.
      num_outputs: how many continuations.
      temperature, top_p, seed: of what is drawn.
      pianoroll: whether to draw piano rolls.
      overwrite: whether to replace other music of the same name.
      describe: whether `pieces.json` says how the pieces were made, and the input is kept.
      audio: the ending of the sound files, from `sound.choose`; None writes none.
      instrument, sound_font, synthesizer: how they sound, as `audio.synthesis.render` takes it.
    """

    bars: int = 8
    prompt_bars: int | None = None
    num_outputs: int = 5
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    pianoroll: bool = True
    overwrite: bool = False
    describe: bool = False
    audio: str | None = None
    instrument: str | None = None
    sound_font: str | None = None
    synthesizer: str | None = None


def generate(model: Model, path: str, output_dir: str, options: Options) -> list[str]:
    """Writes MIDI files of a tune and its continuations, with all that shows and plays them.

    Args:
      model: from `model.open_run`.
      path: a file that `media.reading` reads.
      output_dir: the folder of the files; made where it does not exist.
      options: how to continue and write.

    Returns:
      The paths of the MIDI files.

    Raises:
      UserError: where the input has no melody to go on from, or a file with other music is in the
        way.
    """
    given = reading.read_piece(path)
    prompt = read_prompt(model, given, path, options.prompt_bars)
    end = continuing.bars_after(prompt, int(prompt.onsets[-1]), options.bars)
    continuations = continuing.continued(
        model, prompt, end, options.num_outputs, options.seed, options.temperature, options.top_p
    )
    os.makedirs(output_dir, exist_ok=True)
    play = sound.writer(options.audio, options.instrument, options.sound_font, options.synthesizer)
    stem = os.path.splitext(os.path.basename(path))[0]
    number = len(continuations)
    paths, empty = [], 0
    with Progress("pieces written", number) as progress:
        for i, notes in enumerate(continuations):
            name = f"{model.name}_{MODE}_{stem}_seed{options.seed}_{i:03d}-of-{number:03d}.mid"
            file = os.path.join(output_dir, name)
            piece = as_sequence(given, prompt, notes, end)
            pieces.write(piece, file, options.pianoroll, options.overwrite)
            if options.overwrite:
                sound.remove(file, kept=options.audio)
            if play:
                play(piece, file)
            paths.append(file)
            empty += not notes
            progress.update(i + 1)
    if empty:
        say(f"warning: {empty} of {number} continuations have no note; give other music")
    if options.describe:
        settings = _settings(model, given, options)
        describing.write(output_dir, MODE, settings, [(path, given)], paths, play=play)
    return paths


def read_prompt(
    model: Model, given: NoteSequence, path: str, prompt_bars: int | None
) -> curves.Tune:
    """The melody that a model goes on from.

    Args:
      model: the model.
      given: the input.
      path: where it is from, for messages.
      prompt_bars: how many of its bars to take, the pickup aside; None for all.

    Raises:
      UserError: where it has chords, no meter, or too few notes.
    """
    _require_one_voice(given, path)
    try:
        prompt = curves.read(given)
    except curves.NoCurvesError as error:
        raise UserError(f"{path}: no melody to go on from ({error}); give another file") from error
    if not continuing.last_signature_has_bars(prompt):
        raise UserError(f"{path} has no meter, so that bars cannot be counted; write one, as M:4/4")
    if prompt_bars is not None:
        prompt = prompt.cut(0, continuing.first_bars(prompt, prompt_bars))
    needed = continuing.notes_needed(model)
    if len(prompt.onsets) < needed:
        fix = "a longer file" if prompt_bars is None else "more --prompt_bars, or a longer file"
        raise UserError(
            f"{path}: {len(prompt.onsets)} notes to go on from; {model.name} needs {needed}. "
            f"Give {fix}"
        )
    return prompt


def _require_one_voice(given: NoteSequence, path: str) -> None:
    """Raises UserError where notes of the melody sound together; says what else is left out."""
    notes = sorted(melody.first_voice(given), key=lambda note: note.start_time)
    if notes:
        times = np.array([(note.start_time, note.end_time) for note in notes])
        starts, ends = TempoMap(given.tempos)(times).T
        if np.isfinite(times).all() and melody.is_polyphonic(starts, ends, _LEAST_OVERLAP):
            raise UserError(
                f"{path} has chords: notes of its first voice sound together. Give a file with the "
                "melody alone"
            )
    others = len(given.notes) - len(notes)
    if others:
        say(f"{path}: {others} notes of other voices or drums are left out")


def as_sequence(
    given: NoteSequence, prompt: curves.Tune, notes: Sequence[continuing.Note], end: int
) -> NoteSequence:
    """A tune and its continuation as a piece, each note lasting until the next one.

    Args:
      given: the input, for its tempo, meters and keys.
      prompt: what was read of it.
      notes: those of the continuation.
      end: where the last note ends.
    """
    quarters = TempoMap(given.tempos)
    piece = NoteSequence(ticks_per_quarter=_TICKS)
    piece.source_info.encoding_type = given.source_info.encoding_type
    piece.tempos.extend(given.tempos)
    if not given.tempos:
        piece.tempos.add(qpm=first_qpm(given))
    piece.time_signatures.extend(given.time_signatures)
    piece.key_signatures.extend(given.key_signatures)
    program = min((note.program for note in melody.first_voice(given)), default=0)
    both = [*zip(prompt.onsets.tolist(), prompt.pitches.tolist()), *notes]
    places = np.array([onset for onset, _ in both] + [end], np.float64) / curves.GRID
    seconds = quarters.seconds(places).tolist()
    for (_, pitch), start, until in zip(both, seconds, seconds[1:]):
        piece.notes.add(
            pitch=pitch, velocity=_VELOCITY, start_time=start, end_time=until, program=program
        )
    piece.total_time = seconds[-1]
    for field in ("time_signatures", "key_signatures", "tempos"):
        kept = [one for one in getattr(piece, field) if one.time < piece.total_time]
        del getattr(piece, field)[:]
        getattr(piece, field).extend(kept)
    return piece


def _settings(model: Model, given: NoteSequence, options: Options) -> dict[str, Any]:
    """What all pieces were made with, for `pieces.json`."""
    settings: dict[str, Any] = {
        "model": pathlib.Path(model.run_dir).absolute().name,
        "config": model.name,
        "step": int(model.checkpoint.rpartition("-")[2]),
        "bars": options.bars,
        "qpm": round(first_qpm(given), 3),
    }
    if options.prompt_bars is not None:
        settings["prompt_bars"] = options.prompt_bars
    if continuing.draws(model):
        settings |= {"temperature": options.temperature, "top_p": options.top_p}
        settings["seed"] = options.seed
    return settings
