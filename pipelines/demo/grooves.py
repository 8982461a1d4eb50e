"""Writes the built-in corpus of drum grooves, in the layout of the Groove MIDI Dataset.

From the bars in `patterns` a piece is composed (phrases, fills, a crash after a fill), and one of
several drummers plays it, each with accents, swing, timing and unsteadiness of their own.

Everything is plain arithmetic on `random.Random(text).random()`, whose sequence Python promises to
keep, with no C library function in it, and times end as whole ticks: the same seed gives the same
bytes on every machine.
"""

import csv
import dataclasses
import itertools
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import mido

from pipelines.demo import patterns
from pipelines.demo.dice import Dice
from pipelines.runtime.files import new_folder

COLUMNS = (
    "drummer",
    "session",
    "id",
    "style",
    "bpm",
    "beat_type",
    "time_signature",
    "midi_filename",
    "audio_filename",
    "duration",
    "split",
)
TICKS_PER_QUARTER = 480
TICKS_PER_STEP = TICKS_PER_QUARTER // 4
# Each hit is at most so far from its sixteenth, so that it is never nearer to another one.
MAX_SHIFT_TICKS = 54

EVAL_DRUMMERS = ("drummer1", "drummer5")
SESSIONS = ("session1", "session2")
BEAT_BARS = (4, 8, 16, 24, 32, 32, 32)
FILL_BARS = (1, 1, 1, 2)


@dataclasses.dataclass(frozen=True)
class Piece:
    """What is played, by whom, and where it goes."""

    drummer: str
    session: str
    number: int
    groove: patterns.Groove
    style: str
    bpm: int
    kind: str
    bars: int
    split: str

    @property
    def id(self) -> str:
        """The release's id, e.g. drummer1/session2/17."""
        return f"{self.drummer}/{self.session}/{self.number}"

    @property
    def stem(self) -> str:
        """The release's file name without its ending."""
        style = self.style.replace("/", "-")
        return f"{self.id}_{style}_{self.bpm}_{self.kind}_{self.groove.meter}"


@dataclasses.dataclass(frozen=True, order=True)
class Hit:
    """A stroke of the score: `step` in sixteenths from the start, `level` a key of LEVELS."""

    step: int
    drum: str
    level: str


@dataclasses.dataclass(frozen=True, order=True)
class Note:
    """A stroke as played."""

    tick: int
    pitch: int
    velocity: int
    drum: str


def plan(seed: int, num_beats: int, num_fills: int) -> list[Piece]:
    """Plans the pieces: grooves by their share, drummers in turn, splits as in GMD."""
    dice = Dice(seed, "plan")
    numbers = {}
    pieces = []

    def add(drummer, session, groove, style, kind, bars, split):
        number = numbers[drummer, session] = numbers.get((drummer, session), 0) + 1
        low, high = groove.bpm
        bpm = low + dice.below(high - low + 1)
        pieces.append(Piece(drummer, session, number, groove, style, bpm, kind, bars, split))

    # In the release, a few drummers play the same grooves once more for a test session.
    num_common = min(6, num_beats // 20)
    common = dice.rounds([groove for groove in patterns.GROOVES if groove.meter == "4-4"])
    for number, groove in enumerate(itertools.islice(common, num_common), 1):
        for drummer in EVAL_DRUMMERS:
            style = f"{groove.style.split('/')[0]}/groove{number}"
            add(drummer, "eval_session", groove, style, "beat", 16, "test")

    deck = [groove for groove in patterns.GROOVES for _ in range(groove.share)]
    for kind, count in (("beat", num_beats - len(pieces)), ("fill", num_fills)):
        grooves = dice.rounds(deck)
        players = dice.rounds([(d, s) for d in patterns.DRUMMERS for s in SESSIONS])
        splits = dice.rounds(["train"] * 20 + ["validation"] * 3 + ["test"] * 2)
        trained = set()
        for groove, (drummer, session) in itertools.islice(zip(grooves, players), count):
            # A style of held-out pieces has to be in the training pieces too.
            family = groove.style, groove.meter
            split = next(splits) if family in trained else "train"
            if split == "train":
                trained.add(family)
            bars = dice.pick(BEAT_BARS if kind == "beat" else FILL_BARS)
            add(drummer, session, groove, groove.style, kind, bars, split)
    return sorted(pieces, key=lambda piece: piece.id)


def compose(piece: Piece, dice: Dice) -> list[Hit]:
    """Writes the score: phrases A B A B' with fills, in sections of 8 bars; or a fill alone."""
    steps = piece.groove.steps
    ornament = patterns.DRUMMERS[piece.drummer].ornament
    has_chorus = "hat" in piece.groove.lanes and dice.chance(0.5)
    hits = []
    after_fill = piece.kind == "beat" and dice.chance(0.5)
    for bar in range(piece.bars):
        if bar % 8 == 0:
            chorus = has_chorus and bar % 16 == 8
            first = _motif(piece.groove, dice, chorus)
            # Hands repeat themselves for longer than feet.
            motifs = first, first | {"kick": _motif(piece.groove, dice, chorus)["kick"]}
        music = _bar(motifs[bar % 2], dice, ornament)
        if dice.chance(ornament):
            music = _embellished(music, steps, dice)
        if after_fill:
            music.append(Hit(0, dice.pick(("crash", "crash", "crash2")), dice.pick("XXx")))
        if piece.kind == "fill":
            length = steps if bar == piece.bars - 1 else 0
        elif bar % 8 == 7:
            length = dice.pick((0, 8, 8, steps))
        else:
            length = dice.pick((0, 4, 8, 8)) if bar % 4 == 3 else 0
        if length:
            music = [hit for hit in music if hit.step < steps - length]
            music += _fill(length, steps, dice)
        after_fill = length > 0
        hits += [dataclasses.replace(hit, step=hit.step + bar * steps) for hit in music]
    return _playable(hits)


def _motif(groove: patterns.Groove, dice: Dice, chorus: bool) -> dict[str, str]:
    """One alternative of each lane, the plain optional strokes decided; a chorus is on the ride."""
    motif = {}
    for drum, lane in groove.lanes.items():
        chosen = dice.pick(lane.split("|"))
        motif[drum] = "".join(
            ("x" if dice.chance(0.5) else ".") if level == "p" else level for level in chosen
        )
    if chorus:
        motif["ride"] = motif.pop("hat")
        motif["pedal"] = ("....x..." * 2)[: groove.steps]
    return motif


def _bar(motif: Mapping[str, str], dice: Dice, ornament: float) -> list[Hit]:
    """A motif's strokes, with the optional ghost notes of this bar."""
    return [
        Hit(step, drum, "g" if level == "q" else level)
        for drum, lane in motif.items()
        for step, level in enumerate(lane)
        if level != "." and (level != "q" or dice.chance(ornament))
    ]


def _embellished(hits: list[Hit], steps: int, dice: Dice) -> list[Hit]:
    """Leaves a stroke out and adds some, since nobody repeats every bar exactly."""
    lost = dice.below(len(hits)) if dice.chance(0.5) else None
    # The accents make the style, so they stay.
    kept = [hit for index, hit in enumerate(hits) if index != lost or hit.level == "X"]
    struck = {(hit.step, hit.drum) for hit in hits}
    for drum, level, chance, grid in patterns.EMBELLISHMENTS:
        step = dice.below(steps // grid) * grid
        if dice.chance(chance) and (step, drum) not in struck:
            kept.append(Hit(step, drum, level))
    return kept


def _fill(length: int, steps: int, dice: Dice) -> list[Hit]:
    """A fill over the last `length` steps of a bar: a rhythm and a drum for each beat."""
    route = dice.pick(patterns.FILL_ROUTES)
    hits = []
    for start in range(0, length, 4):
        drum = patterns.FILL_DRUMS[route[start * len(route) // length]]
        for step, level in enumerate(dice.pick(patterns.FILL_RHYTHMS), steps - length + start):
            if level != ".":
                hits.append(Hit(step, drum, level))
            elif dice.chance(0.3):
                hits.append(Hit(step, "kick", "x"))
        if dice.chance(0.3):
            hits.append(Hit(steps - length + start, "pedal", "o"))
    return hits


def _playable(hits: Iterable[Hit]) -> list[Hit]:
    """Leaves out what a crash or an open hi-hat stands in for: the same hand plays it."""
    crashes = {hit.step for hit in hits if hit.drum in ("crash", "crash2")}
    opens = {hit.step for hit in hits if hit.drum == "open"}
    busy = {"hat": crashes | opens, "ride": crashes | opens, "open": crashes}
    return [hit for hit in hits if hit.step not in busy.get(hit.drum, ())]


def perform(hits: Iterable[Hit], piece: Piece, dice: Dice) -> list[Note]:
    """Plays a score: where each stroke falls, how hard it is, and on what part of the drum."""
    drummer = patterns.DRUMMERS[piece.drummer]
    notes = {}
    drift = energy = 0.0
    for step, together in itertools.groupby(sorted(hits), lambda hit: hit.step):
        # First-order autoregression: unsteadiness that lasts for some beats.
        drift = 0.8 * drift + 0.6 * drummer.drift * dice.bell()
        energy = 0.8 * energy + 0.6 * drummer.touch * dice.bell()
        for hit in together:
            plain = hit.level in "Xx"
            late_ms = (
                drummer.lag + drummer.lags.get(hit.drum, 0) + drift + drummer.jitter * dice.bell()
            )
            late = round(
                drummer.swing * piece.groove.feel[step % 4]
                + late_ms * piece.bpm * TICKS_PER_QUARTER / 60000
            )
            late = max(-MAX_SHIFT_TICKS, min(MAX_SHIFT_TICKS, late))
            force = (
                patterns.LEVELS[hit.level] * patterns.LOUDNESS[hit.drum] * drummer.gain
                + (drummer.accents[step % 4] if plain else 0)
                + energy
                + drummer.touch * dice.bell()
            )
            pitch = patterns.PITCHES[hit.drum][plain and dice.chance(drummer.rim)]
            notes[step, pitch] = Note(
                max(0, step * TICKS_PER_STEP + late),
                pitch,
                max(1, min(127, round(force))),
                hit.drum,
            )
    return sorted(notes.values())


def to_midi(notes: Sequence[Note], piece: Piece) -> mido.MidiFile:
    """One track at 480 ticks a quarter, with the release's events in the release's order."""
    beats, unit = map(int, piece.groove.meter.split("-"))
    # A tenth of a second, as the module sends, or less where the drum is struck again before.
    longest = piece.bpm * TICKS_PER_QUARTER // 600
    timed = []
    following = {}
    for note in reversed(notes):
        end = min(note.tick + longest, following.get(note.pitch, note.tick + longest))
        following[note.pitch] = note.tick
        if note.drum in patterns.PEDAL_POSITIONS:
            timed.append(
                (
                    note.tick,
                    1,
                    mido.Message(
                        "control_change",
                        channel=9,
                        control=patterns.PEDAL_CONTROL,
                        value=patterns.PEDAL_POSITIONS[note.drum],
                    ),
                )
            )
        timed.append(
            (
                note.tick,
                2,
                mido.Message("note_on", channel=9, note=note.pitch, velocity=note.velocity),
            )
        )
        timed.append((end, 0, mido.Message("note_off", channel=9, note=note.pitch, velocity=64)))
    track = mido.MidiTrack(
        [
            mido.MetaMessage("track_name", name="Midi Drums"),
            mido.MetaMessage("instrument_name", name="reelgroove"),
            mido.MetaMessage("time_signature", numerator=beats, denominator=unit),
            mido.MetaMessage("key_signature", key="C"),
            mido.MetaMessage("set_tempo", tempo=60_000_000 // piece.bpm),
        ]
    )
    now = 0
    for tick, _, message in sorted(timed, key=lambda event: event[:2] + (event[2].bytes(),)):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track"))
    return mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_QUARTER, tracks=[track])


def write_corpus(
    directory: str | os.PathLike, seed: int = 0, num_beats: int = 130, num_fills: int = 130
) -> list[dict[str, str]]:
    """Writes a corpus of drum grooves in the layout of the Groove MIDI Dataset's release.

    The same arguments give the same bytes everywhere. Nothing appears at `directory` until all of
    it is written.

    Args:
      directory: where `info.csv` and the drummers' folders go; must not exist, or be empty.
      seed: another corpus for each.
      num_beats: pieces of 4 to 32 bars, those of the test session included.
      num_fills: pieces of a bar or two.

    Returns:
      The rows of info.csv.

    Raises:
      UserError: `directory` has something in it.
    """
    with new_folder(directory) as unfinished:
        rows = [_write_piece(piece, seed, unfinished) for piece in plan(seed, num_beats, num_fills)]
        with open(unfinished / "info.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return rows


def _write_piece(piece: Piece, seed: int, root: pathlib.Path) -> dict[str, str]:
    # Each piece has random numbers of its own, so that a change to one leaves the others alone.
    dice = Dice(seed, piece.id)
    notes = perform(compose(piece, dice), piece, dice)
    midi = to_midi(notes, piece)
    path = root / f"{piece.stem}.mid"
    path.parent.mkdir(parents=True, exist_ok=True)
    midi.save(path)
    ticks = sum(message.time for message in midi.tracks[0])
    seconds = mido.tick2second(ticks, TICKS_PER_QUARTER, 60_000_000 // piece.bpm)
    return dict(
        zip(
            COLUMNS,
            (
                piece.drummer,
                f"{piece.drummer}/{piece.session}",
                piece.id,
                piece.style,
                str(piece.bpm),
                piece.kind,
                piece.groove.meter,
                f"{piece.stem}.mid",
                "",
                f"{seconds:.6f}",
                piece.split,
            ),
        )
    )
