"""The values of information fields, read and written: key, meter, unit, tempo, parts, voices.

The ABC standard 2.1, https://abcnotation.com/wiki/abc:standard:v2.1, sections 3 and 7. A value that
cannot be read raises ValueError with the reason.
"""

import re
from fractions import Fraction

from pipelines.music.abc.score import NO_KEY, WHOLE, Key, Ticks, scaled

# Numerator and denominator as written.
Meter = tuple[int, int]

STEPS = "CDEFGAB"
# Semitones above C of the seven letters.
SEMITONES = (0, 2, 4, 5, 7, 9, 11)
# Sharps (or flats, below 0) of the major key on each letter.
_FIFTHS = (0, 2, 4, -1, 1, 3, 5)
# Indices into STEPS in the order in which a signature adds sharps; flats come in reverse.
_ORDER = (3, 0, 4, 1, 5, 2, 6)
# How many sharps a mode adds to the major key on its tonic, by its first three letters.
_MODES = {
    "": ("MAJOR", 0),
    "maj": ("MAJOR", 0),
    "ion": ("MAJOR", 0),
    "m": ("MINOR", -3),
    "min": ("MINOR", -3),
    "aeo": ("MINOR", -3),
    "mix": ("MIXOLYDIAN", -1),
    "dor": ("DORIAN", -2),
    "phr": ("PHRYGIAN", -4),
    "lyd": ("LYDIAN", 1),
    "loc": ("LOCRIAN", -5),
    # German.
    "dur": ("MAJOR", 0),
    "mol": ("MINOR", -3),
}
# Such as "F#m", "Eb", "E flat major", and in German "Fis moll", "Es-Dur", "H".
_KEY = re.compile(
    r"([A-Ha-h])([#b♯♭]|(?:is|es|s)(?![A-Za-z])|[ \t-]*(?:sharp|flat)(?![A-Za-z]))?"
    r"(?:[ \t]+|[ \t]*-(?=[A-Za-z]))?([A-Za-z]*)"
)
_KEY_ACCIDENTAL = re.compile(r"(?<![A-Za-z=])(\^\^|\^|__|_|=)([A-Ga-g])(?![A-Za-z=])")
ACCIDENTALS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
_CLEFS = tuple(
    "treble bass alto tenor perc none clef oct middle m= t= transpose stafflines staffscale style "
    "shift score sound cue".split()
)
_MAX_TRANSPOSITION = 60

_METER = re.compile(r"\(?\s*(\d{1,3}(?:\s*\+\s*\d{1,3})*)\s*(?:\)\s*)?/\s*(\d{1,3})")
_FRACTION = re.compile(r"(\d{1,6})\s*/\s*(\d{1,6})")
_TEMPO_BEATS = re.compile(
    r"((?:\d{1,4}\s*/\s*\d{1,4}(?!\d)\s*)+)=\s*(?:ca?\.|ca|~)?\s*(\d{1,4}(?:\.\d{1,4})?)"
)
_TEMPO_UNITS = re.compile(
    r"(?:[CL]\s*(\d{0,3})\s*(?:/\s*(\d{1,3}))?\s*=\s*)?(\d{1,4}(?:\.\d{1,4})?)"
)
_QUOTED = re.compile(r'"[^"]*"?')
_MAX_PARTS = 1000
_MAX_VALUE = 200

FREE = None
COMMON = (4, 4)
_WORDS_FOR_METERS = {
    "c": COMMON,
    "c|": (2, 2),
    "cut": (2, 2),
    "none": FREE,
    "no": FREE,
    "": FREE,
}


class UnknownModeError(ValueError):
    """An unknown mode, such as that of "Bn"; `key` is the major key on the tonic."""

    def __init__(self, message: str, key: Key):
        super().__init__(message)
        self.key = key


def key(value: str, current: Key = NO_KEY) -> Key:
    """Reads the key of a `K:` field (3.1.14); a field with a clef alone keeps `current`."""
    text = value.strip()
    lower = text.lower()
    if not text or lower.split()[0] in ("none", "perc"):
        return NO_KEY
    if text[:2] in ("HP", "Hp"):
        # Great Highland bagpipe: F and C are sharp whether written (Hp) or not (HP).
        return Key(9, "MIXOLYDIAN", _signature(2))
    if lower.startswith(_CLEFS):
        return current
    match = _KEY.match(text)
    if not match:
        changed = _with_accidentals(current.accidentals, text)
        if changed == current.accidentals:
            raise ValueError(f"K:{value} names no key")
        return current._replace(accidentals=changed)
    step = STEPS.index(match[1].upper().replace("H", "B"))
    sign = (match[2] or "").strip(" \t-")
    sharp = 0 if not sign else 1 if sign in ("#", "♯", "is", "sharp") else -1
    word, rest = match[3].lower(), text[match.end() :]
    if word.startswith(_CLEFS) or word == "exp":
        word, rest = "", match[3] + rest
    name, more_sharps = _MODES.get(word[:3], _MODES[""])
    tonic = (SEMITONES[step] + sharp) % 12
    explicit = rest.lower().lstrip().startswith("exp")
    fifths = 0 if explicit else _FIFTHS[step] + 7 * sharp + more_sharps
    read = Key(tonic, name, _with_accidentals(_signature(fifths), rest))
    if word[:3] not in _MODES:
        raise UnknownModeError(f"K:{value} names no mode; read as major", read)
    return read


def _signature(fifths: int) -> tuple[int, ...]:
    signature = [0] * 7
    for place in range(abs(fifths)):
        letter = _ORDER[place % 7] if fifths > 0 else _ORDER[6 - place % 7]
        signature[letter] += 1 if fifths > 0 else -1
    return tuple(signature)


def _with_accidentals(signature: tuple[int, ...], text: str) -> tuple[int, ...]:
    changed = list(signature)
    for sign, letter in _KEY_ACCIDENTAL.findall(text):
        changed[STEPS.index(letter.upper())] = ACCIDENTALS[sign]
    return tuple(changed)


_OCTAVE_CLEF = re.compile(r"(?:^|[ \t=])(?:treble|bass|alto|tenor|[GFC][1-5]?)\d?([+-])8", re.I)
_OCTAVE = re.compile(r"(?:^|[ \t])oct(?:ave)?=([+-]?\d{1,2})(?!\d)", re.I)
_TRANSPOSE = re.compile(r"(?:^|[ \t])(?:transpose|t)=([+-]?\d{1,2})(?!\d)", re.I)


def transposition(value: str) -> int | None:
    """Semitones that a `K:` or `V:` field adds by `octave=`, `transpose=` or a clef with +8 or -8.

    None where it has none of these (4.6).
    """
    if "8" not in value and "=" not in value:
        return None
    found = []
    if clef := _OCTAVE_CLEF.search(value):
        found.append(12 if clef[1] == "+" else -12)
    if octave := _OCTAVE.search(value):
        found.append(12 * int(octave[1]))
    if semitones := _TRANSPOSE.search(value):
        found.append(int(semitones[1]))
    if not found:
        return None
    return max(-_MAX_TRANSPOSITION, min(_MAX_TRANSPOSITION, sum(found)))


def meter(value: str) -> Meter | None:
    """Reads numerator and denominator of an `M:` field; None for free meter (3.1.6)."""
    text = value.strip()
    word = text.lower().split()[0] if text else ""
    if word in _WORDS_FOR_METERS:
        return _WORDS_FOR_METERS[word]
    if word.startswith(("free", "frei", "var")):
        return FREE
    match = _METER.match(text)
    if not match:
        raise ValueError(f"M:{value} names no meter")
    numerator = sum(int(part) for part in match[1].split("+"))
    denominator = int(match[2])
    if not 0 < numerator <= 256 or denominator not in (1, 2, 4, 8, 16, 32, 64, 128):
        raise ValueError(f"M:{value} names no meter")
    return numerator, denominator


def measure(of_meter: Meter | None) -> Ticks | None:
    """The length of a bar; None in free meter."""
    return of_meter and WHOLE * of_meter[0] // of_meter[1]


def is_compound(of_meter: Meter | None) -> bool:
    """Whether its beats have three parts, as in 6/8 and 9/8."""
    return of_meter is not None and of_meter[0] > 3 and of_meter[0] % 3 == 0


def default_unit(of_meter: Meter | None) -> Ticks:
    """The unit note length without an `L:` field (3.1.7)."""
    return WHOLE // (16 if of_meter and 4 * of_meter[0] < 3 * of_meter[1] else 8)


def unit(value: str) -> Ticks:
    """Reads the unit note length of an `L:` field."""
    text = value.strip()
    match = _FRACTION.match(text)
    if text == "1":
        return WHOLE
    if not match or int(match[2]) == 0 or int(match[1]) == 0:
        raise ValueError(f"L:{value} names no length")
    length = scaled(WHOLE, int(match[1]), int(match[2]))
    if not WHOLE // 1024 <= length <= WHOLE * 16:
        raise ValueError(f"L:{value} names no length")
    return length


def tempo(value: str, unit_length: Ticks) -> Fraction | None:
    """Reads quarter notes a minute from a `Q:` field; None where it has only words (3.1.8)."""
    text = _QUOTED.sub(" ", value[:_MAX_VALUE]).strip()
    if not text:
        return None
    if match := _TEMPO_BEATS.search(text):
        beat = sum(_fraction(n, d) for n, d in _FRACTION.findall(match[1]))
        number = match[2]
    elif match := _TEMPO_UNITS.match(text):
        # The forms of older standards, Q:120 and Q:C3=40, count unit note lengths (8.1).
        beat = Fraction(unit_length) / WHOLE
        if match[1] or match[2]:
            beat *= _fraction(match[1] or "1", match[2] or "1")
        number = match[3]
    elif any(letter.isdigit() for letter in text):
        raise ValueError(f"Q:{value} names no tempo")
    else:
        return None
    qpm = beat * 4 * Fraction(number)
    if not 4 <= qpm <= 2000:
        raise ValueError(f"Q:{value} names no tempo that can be played")
    return qpm


def _fraction(numerator: str, denominator: str) -> Fraction:
    if int(denominator) == 0:
        raise ValueError("a length divides by 0")
    return Fraction(int(numerator), int(denominator))


_PART_TOKEN = re.compile(r"([A-Za-z])(\d*)|(\()|\)(\d*)|([.,\-\s]+)")


def parts(value: str) -> str:
    """Reads the order of parts of a `P:` field in the header: A2(BC)2 is AABCBC (3.1.9)."""
    stack = [""]
    at = 0
    text = value.strip()
    while at < len(text):
        match = _PART_TOKEN.match(text, at)
        if not match:
            raise ValueError(f"P:{value} is no order of parts")
        at = match.end()
        if match[1]:
            piece = match[1] * min(int(match[2] or 1), _MAX_PARTS)
        elif match[3]:
            stack.append("")
            continue
        elif match[5]:
            continue
        else:
            if len(stack) == 1:
                raise ValueError(f"P:{value} closes a bracket that it does not open")
            piece = stack.pop() * min(int(match[4] or 1), _MAX_PARTS)
        stack[-1] += piece
        if len(stack[-1]) > _MAX_PARTS:
            raise ValueError(f"P:{value[:40]} plays more than {_MAX_PARTS} parts")
    if len(stack) > 1:
        raise ValueError(f"P:{value} opens a bracket that it does not close")
    return stack[0]


_VOICE = re.compile(r"\s*(\S+)")
_VOICE_NAME = re.compile(r'(?:^|\s)(?:name|nm)="([^"]*)"', re.I)


def voice(value: str) -> tuple[str, str | None]:
    """Reads the id of a voice from a `V:` field, and its name, or None (3.1.15, 7)."""
    match = _VOICE.match(value)
    if not match:
        raise ValueError("V: names no voice")
    name = _VOICE_NAME.search(value)
    return match[1], name and name[1]


# Writing

_NO_TEXT = re.compile(r"\s*[\x00-\x1f\x7f\x85\u2028\u2029]+\s*")


def in_threes(of_bar: Meter | None) -> bool:
    """Whether a meter is written in beats of three notes: 3/8 is one such beat, 6/4 is quarters.

    `is_compound` is about tuplets: by it, 6/4 is compound and 3/8 is not.
    """
    return of_bar is not None and of_bar[1] >= 8 and of_bar[0] % 3 == 0


def write_meter(of_bar: Meter | None) -> str:
    """Writes the value of an `M:` field; None is free meter."""
    return "none" if of_bar is None else f"{of_bar[0]}/{of_bar[1]}"


def write_tempo(qpm: float, of_bar: Meter | None) -> str:
    """Writes the value of a `Q:` field.

    It counts the beats of the meter, or others if their number is whole.

    Args:
      qpm: quarter notes a minute.
      of_bar: the meter that holds there.
    """
    beats = [Fraction(1, 4), Fraction(1, 8), Fraction(3, 8), Fraction(1, 2)]
    if of_bar and in_threes(of_bar):
        beats.insert(0, Fraction(3, of_bar[1]))
    elif of_bar and of_bar[1] == 2:
        beats.insert(0, Fraction(1, 2))
    for beat in beats:
        count = qpm / 4 / beat
        if abs(count - round(count)) < 1e-6:
            return f"{beat.numerator}/{beat.denominator}={round(count)}"
    return f"1/4={qpm:.4f}".rstrip("0").rstrip(".")


def write_text(value: str) -> str:
    """Writes a text as a field can hold it: on one line, without a comment."""
    value = _NO_TEXT.sub(" ", value).strip()
    return re.sub(r"(?<!\\)%", r"\\%", value)


def write_chord_symbol(value: str) -> str:
    """Writes a chord symbol without leading signs, which would make it a remark on the page."""
    return _NO_TEXT.sub(" ", value).replace('"', "'").strip().lstrip("^_<>@ ")
