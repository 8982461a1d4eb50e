"""Instruments of tunes by their everyday names, as programs of General MIDI (from 0)."""

PROGRAMS = {
    "accordion": 21,
    "bagpipe": 109,
    "banjo": 105,
    "fiddle": 40,  # The violin, which every sound font has; General MIDI's own "Fiddle" is 110.
    "flute": 73,
    "guitar": 25,
    "harp": 46,
    "piano": 0,
    "whistle": 74,  # The recorder: General MIDI's "Whistle" is that of lips.
}
DEFAULT = "fiddle"
