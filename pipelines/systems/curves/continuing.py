"""Goes on from a tune: the notes that a model of curves adds to a melody."""

from collections.abc import Sequence

import numpy as np

from pipelines.representations import curves
from pipelines.runtime.progress import Progress
from pipelines.systems.curves import measuring, tunes
from pipelines.systems.curves.model import Model

Note = tuple[int, int]  # Onset in parts of a quarter note, and pitch.

_PITCHES = 128


def notes_needed(model: Model) -> int:
    """How many notes a melody must have for a model to go on from it."""
    return max(curves.MIN_NOTES, model.hparams.window + 1)


def continued(
    model: Model,
    prompt: curves.Tune,
    end: int,
    number: int = 1,
    seed: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> list[list[Note]]:
    """The notes after a melody: those that begin before `end`.

    Args:
      model: a model of curves.
      prompt: the melody, of `notes_needed` notes or more.
      end: the place before which the last note begins, in parts (`curves.GRID`) of a quarter note.
      number: how many continuations; a model that takes the likeliest curve gives equal ones.
      seed, temperature, top_p: of what is drawn, where the model draws.

    Returns:
      For each continuation its notes; none where the first one would begin at `end` or later.
    """
    if model.hparams.window:
        return [_likeliest(model, prompt, end)] * number
    return _drawn(model, prompt, end, number, seed, temperature, top_p)


def draws(model: Model) -> bool:
    """Whether continuations are drawn at random, rather than the likeliest curves."""
    return not model.hparams.window


def _likeliest(model: Model, prompt: curves.Tune, end: int) -> list[Note]:
    """Goes on as the course's code does: each window gives the likeliest next one.

    The state is kept through the windows of the melody, and begins anew in each window of the
    continuation. The course takes windows from the melody's begin, leaves out the last one, and
    stops after four quarters; here the last window ends where the melody does.
    """
    size, steps = model.hparams.window, model.vocabulary.steps()
    ids = model.vocabulary.ids(tunes.curves_of(prompt, model.hparams))
    states = measuring.start_states(model, 1)
    for window in ids[len(ids) % size :].reshape(-1, size):
        logits, states = model.forward(_inputs(window), states)
        states = np.asarray(states)
    notes: list[Note] = []
    last = _last(prompt)
    while True:
        guesses = np.asarray(logits)[0].argmax(axis=1)
        for note in curves.decode(last, steps[guesses].tolist()):
            # Many steps of a curve lead beyond the keyboard sooner or later.
            if note[0] >= end or not 0 <= note[1] < _PITCHES:
                return notes
            notes.append(note)
        last = notes[-1]
        logits, _ = model.forward(_inputs(guesses), measuring.start_states(model, 1))


def _inputs(window: np.ndarray) -> np.ndarray:
    return window[None, :, None].astype(np.int32)


def _drawn(
    model: Model,
    prompt: curves.Tune,
    end: int,
    number: int,
    seed: int,
    temperature: float,
    top_p: float,
) -> list[list[Note]]:
    """Draws each next curve, given all notes before it with their places and degrees."""
    rng = np.random.default_rng(seed)
    steps = model.vocabulary.steps()
    ids = model.vocabulary.ids(tunes.curves_of(prompt, model.hparams))
    rows = tunes.inputs_of(prompt, ids, model.hparams)
    states = measuring.start_states(model, number)
    logits, states = measuring.step(model, np.repeat(rows[None], number, axis=0), states)
    last = [_last(prompt)] * number
    found: list[list[Note]] = [[] for _ in range(number)]
    first = last[0][0]
    with Progress("parts of a quarter note", end - first) as progress:
        while any(onset < end for onset, _ in last):
            pitches = np.array([pitch for _, pitch in last])[:, None] + steps[:, 0]
            allowed = np.where((pitches >= 0) & (pitches < _PITCHES), logits, -np.inf)
            drawn = draw(allowed, rng, temperature, top_p)
            for i, (semitones, parts) in enumerate(steps[drawn].tolist()):
                onset, pitch = last[i]
                last[i] = onset + parts, pitch + semitones
                if last[i][0] < end and onset < end:
                    found[i].append(last[i])
            signatures = [prompt.signature(onset) for onset, _ in last]
            inputs = measuring.row_of(drawn, signatures, last)
            logits, states = measuring.step(model, inputs, states)
            progress.update(min(end, *(onset for onset, _ in last)) - first)
    return found


def _last(prompt: curves.Tune) -> Note:
    return int(prompt.onsets[-1]), int(prompt.pitches[-1])


def draw(
    logits: np.ndarray, rng: np.random.Generator, temperature: float, top_p: float
) -> np.ndarray:
    """Draws an id for each row of logits, from the nucleus of probability `top_p`.

    Args:
      logits: float [batch, ids]; an id of -inf is never drawn.
      rng: draws one number for each row.
      temperature: the logits are divided by it.
      top_p: over 0, at most 1 (Holtzman et al., arXiv:1904.09751, section 3.1).

    Returns:
      Int array shaped [batch].
    """
    scaled = logits.astype(np.float64)
    scaled = (scaled - scaled.max(axis=1, keepdims=True)) / temperature
    probabilities = np.exp(scaled)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=1)
    before = ranked.cumsum(axis=1) - ranked
    ranked = np.where(before < top_p, ranked, 0).cumsum(axis=1)
    place = (ranked <= rng.random(len(ranked))[:, None] * ranked[:, -1:]).sum(axis=1)
    return np.take_along_axis(order, place[:, None], axis=1)[:, 0]


def bars_after(prompt: curves.Tune, onset: int, bars: int) -> int:
    """The place where so many bars end after the one that a place is in.

    The bars are those of what holds at the end of the melody.
    """
    signature = prompt.signature(int(prompt.onsets[-1]))
    begun = (onset - signature.onset) // signature.bar
    return signature.onset + (begun + 1 + bars) * signature.bar


def first_bars(melody: curves.Tune, bars: int) -> int:
    """The place where the first full bars of a melody end, so many of them.

    A first note that does not begin a bar is a pickup.
    """
    first = int(melody.onsets[0])
    signature = melody.signature(first)
    begun, place = divmod(first - signature.onset, signature.bar)
    return signature.onset + (begun + (place > 0) + bars) * signature.bar


def last_signature_has_bars(prompt: curves.Tune) -> bool:
    """Whether bars can be counted at both ends of a melody."""
    ends: Sequence[int] = (int(prompt.onsets[0]), int(prompt.onsets[-1]))
    return all(prompt.signature(onset).bar for onset in ends)
