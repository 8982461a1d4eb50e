"""How a melody is written for the tune tower: what the columns are, and what numbers they have.

`pipelines.representations.scale_degrees` writes melodies so; 0 stands for what is not there.
"""

# Ticks of a quarter note: whole numbers for triplets and for sixteenths.
TICKS = 12
# Semitones up and down from the tonic that is nearest to the mean pitch; intervals likewise.
REACH = 24
# In ticks, from a thirty-second note to more than a whole one.
LENGTHS = (1.5, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 36, 48, 60)
# In ticks: the longest common bar is 6/4 or 12/8.
BAR = 6 * TICKS
KNOWN_METERS = ((2, 2), (2, 4), (3, 4), (4, 4), (3, 8), (6, 8), (9, 8), (12, 8), (3, 2), (6, 4))
# As NoteSequence names them.
KNOWN_MODES = ("MAJOR", "MINOR", "DORIAN", "MIXOLYDIAN", "PHRYGIAN", "LYDIAN", "LOCRIAN")

# How many different numbers there are in each column of the notes, and of meters and modes.
NOTE_SIZES = {
    "pitch": 2 * REACH + 2,
    "interval": 2 * REACH + 2,
    "length": len(LENGTHS) + 1,
    "position": BAR + 1,
}
# None, one that is rare, and those that are known.
METERS = len(KNOWN_METERS) + 2
MODES = len(KNOWN_MODES) + 1
