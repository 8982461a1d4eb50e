"""What is asked of a tune: its meter, key, rhythm and form, as users write them."""

import re
from fractions import Fraction
from typing import NamedTuple

from pipelines.music.abc import fields
from pipelines.music.abc.fields import Meter
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens import vocabulary
from pipelines.representations.abc_tokens.steps import Given
from pipelines.representations.abc_tokens.written import Key
from pipelines.runtime.app import UserError
from pipelines.runtime.nearest import did_you_mean
from pipelines.systems.tune_lm import forms
from pipelines.systems.tune_lm.forms import Form

MODES = {
    "major": "MAJOR", "ionian": "MAJOR", "minor": "MINOR", "aeolian": "MINOR", "dorian": "DORIAN",
    "mixolydian": "MIXOLYDIAN", "phrygian": "PHRYGIAN", "lydian": "LYDIAN", "locrian": "LOCRIAN",
}  # fmt: skip
DEFAULT_FORM, DEFAULT_BARS = "AABB", 8
DEFAULT_KEY = Key(2, "MAJOR")
# The meter of each rhythm, and the rhythm where neither is asked for.
_METERS: dict[str, Meter] = {
    "reel": (4, 4), "jig": (6, 8), "slip jig": (9, 8), "slide": (12, 8), "hornpipe": (4, 4),
    "polka": (2, 4), "waltz": (3, 4), "strathspey": (4, 4), "march": (4, 4), "air": (3, 4),
    "clog": (4, 4), "fling": (4, 4), "barndance": (4, 4), "mazurka": (3, 4),
    "schottische": (4, 4),
}  # fmt: skip
_DEFAULT_RHYTHM = "reel"
# Quarter notes a minute at which dancers take them; other tunes by their meter.
_TEMPOS = {"reel": 200, "hornpipe": 160, "strathspey": 130, "air": 90}
_TONIC = re.compile(r"([A-Ga-g])(#|b|♯|♭)?")
_FRACTION = re.compile(r"(\d{1,4})(?:/(\d{1,4}))?", re.ASCII)


class Conditions(NamedTuple):
    """What is asked of a tune.

    Attributes:
      meter, key, rhythm, tempo: as of `steps.Given`.
      form: its bars.
      letters: its form as it was written.
    """

    meter: Meter
    key: Key
    rhythm: str
    tempo: Fraction
    form: Form
    letters: str

    def given(self) -> Given:
        """What a model is told before the first token."""
        return Given(self.meter, self.key, self.rhythm, self.tempo, parts=self.form.parts)


def tonic(text: str) -> int:
    """The pitch class of a note such as D, F# or Bb.

    Raises:
      UserError: where it is no note.
    """
    match = _TONIC.fullmatch(text.strip())
    if not match:
        raise UserError(f"--tonic={text}: no note; give one such as D, F# or Bb")
    step = fields.SEMITONES[fields.STEPS.index(match[1].upper())]
    return (step + {None: 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[match[2]]) % 12


def mode(text: str, flag: str) -> str:
    """The mode of a key by its name.

    Raises:
      UserError: where there is no such mode; `flag` is named.
    """
    name = text.strip().lower()
    if name not in MODES:
        raise UserError(
            f"--{flag}={text}: no mode; it is one of {', '.join(MODES)}{did_you_mean(name, MODES)}"
        )
    return MODES[name]


def rhythm(text: str) -> str:
    """The kind of a tune, such as jig, by its name; a double jig is a jig.

    Raises:
      UserError: where the models know no such kind.
    """
    found = vocabulary.rhythm(text.replace("_", " ").replace("-", " "))
    if not found:
        names = vocabulary.RHYTHMS[1:]
        raise UserError(
            f"--rhythm={text}: no kind of tune that models are told; it is one of "
            f"{', '.join(names)}{did_you_mean(text.lower(), names)}"
        )
    return vocabulary.RHYTHMS[found]


def meter(text: str) -> Meter:
    """A meter such as 6/8 or C.

    Raises:
      UserError: where it is none that models know, or a free one, which has no bars to fill.
    """
    known = [fields.write_meter(one) for one in vocabulary.METERS if one]
    try:
        found = fields.meter(text)
    except ValueError:
        found = None
    if found is None or found not in vocabulary.METERS:
        raise UserError(
            f"--meter={text}: no meter with bars to fill; it is one of {', '.join(known)}"
        )
    return found


def pickup(text: str) -> int:
    """The length of a pickup, such as 1/8, in parts of a whole note.

    Raises:
      UserError: where it is no length.
    """
    match = _FRACTION.fullmatch(text.strip() or "0")
    numerator, denominator = (int(match[1]), int(match[2] or 1)) if match else (0, 0)
    if not denominator or numerator * WHOLE % denominator:
        raise UserError(f"--pickup={text}: no length; give a part of a whole note, such as 1/8")
    return numerator * WHOLE // denominator


def tempo(of_rhythm: str, of_meter: Meter) -> Fraction:
    """Quarter notes a minute for a tune that says none."""
    if fields.is_compound(of_meter):
        return Fraction(180)
    usual = _TEMPOS.get(of_rhythm, 140)
    # Reels in 2/4 are written in notes of half the length.
    return Fraction(usual, 2 if of_meter == (2, 4) and usual > 100 else 1)


def meter_of(of_rhythm: str) -> Meter:
    """The meter of a rhythm."""
    return _METERS.get(of_rhythm, _METERS[_DEFAULT_RHYTHM])


def make(
    of_meter: Meter | None = None,
    key: Key = DEFAULT_KEY,
    of_rhythm: str | None = None,
    letters: str = DEFAULT_FORM,
    bars: int | list[int] = DEFAULT_BARS,
    of_pickup: int = 0,
    ending_bars: int = 1,
    of_tempo: Fraction | None = None,
) -> Conditions:
    """What is asked of a tune: a reel in D, where nothing else is said.

    Args:
      of_meter: by default that of the rhythm.
      key: the key.
      of_rhythm: by default none where the meter is given, else a reel.
      letters, bars, of_pickup, ending_bars: as `forms.form` takes them.
      of_tempo: by default the usual one.

    Raises:
      UserError: for a form that cannot be counted.
    """
    if of_rhythm is None:
        of_rhythm = "" if of_meter else _DEFAULT_RHYTHM
    of_meter = of_meter or meter_of(of_rhythm)
    of_tempo = of_tempo or tempo(of_rhythm, of_meter)
    try:
        made = forms.form(letters, bars, of_meter, of_pickup, ending_bars)
    except forms.FormError as error:
        raise UserError(f"--form: {error}") from error
    return Conditions(of_meter, key, of_rhythm, of_tempo, made, letters)
