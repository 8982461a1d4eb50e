"""Keys that recognise pieces of any kind: tunes, songs of several voices, drum parts.

`identity` makes the keys of tunes, one voice in ABC notation. Files of MIDI and MusicXML hold other
music as well, so pieces of these have more keys, and those that share one are the same piece:

- what `identity` makes of the first voice, and of a title that a table gives;
- sampled runs of 48 intervals of every voice: the melody of a song may be in any of them;
- of drums alone, sampled runs of 24 onsets. Drums that accompany have none, since different songs
  have the same drum part;
- all of the notes, in any key and tempo: pieces that are too short or too plain for runs;
- the names of files, where they say that files are versions or takes of one piece, and names of
  several words as titles.

Measured on the 1,150 performances of the Groove MIDI Dataset without its table: 1,088 groups, the
largest of 7. The ten beats that four drummers each play for evaluation are ten groups, by the names
of their files; by their notes alone there are 1,136 groups, the largest of 3. The 1,034 melodies of
the Nottingham Music Database as MIDI, without titles, make 977 groups, the largest of 3.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.music import note_sequence
from pipelines.music.note_sequence import NoteSequence
from pipelines.music.timing import TempoMap
from pipelines.tunes import identity, runs

# The kinds of keys beside those of `identity`; their first letters differ, as `splits` needs it.
DRUMS, NOTES, VERSIONS, GROUP = "drums:", "notes:", "versions:", "group:"

_VOICE_RUNS = runs.Sampling(length=48, window=7)
_DRUM_RUNS = runs.Sampling(length=24, window=7)
# Drums are compared by sixteenths, which drummers play to. All of the notes are compared more
# finely, but not so that a file with other ticks is another one.
_DRUM_STEPS, _NOTE_STEPS = 4, 12
# Pieces of fewer notes are the same only in the same key: two notes are any two.
_MIN_NOTES = 4
_LONGEST_GAP = 255

_SPACES = re.compile(r"[\s_]+")
# What the names of files end in where they are versions of one piece. A number alone is none: it
# counts different pieces at least as often.
_MARK = r"(?:(?:take|tk|version|ver|v|alt|copy)[ .]?\(?\d{1,3}\)?|copy|alt)"
_VERSION = re.compile(rf"(?:^|[ .,-]+)(?:{_MARK}|\({_MARK}\))$")
_COPIED = re.compile(r" *\(\d{1,3}\)$")
_TAKE = re.compile(r"(?:take|tk)[ .]?\d{1,3}")
# A name of fewer words, such as "intro", says too little to be a title.
_WORD = re.compile(r"[^\W\d_]{3,}")
_MIN_WORDS = 2


def keys(sequence: NoteSequence, stem: str = "") -> tuple[str, ...]:
    """Makes the keys of a piece, each once.

    Args:
      sequence: the piece.
      stem: the name of its file without its folder and its ending.
    """
    found = dict.fromkeys(identity.keys(sequence))
    pitched = [note for note in sequence.notes if not note.is_drum]
    if pitched:
        found.update(dict.fromkeys(_voice_keys(pitched)))
    else:
        titles = note_sequence.titles(sequence)
        found.update(dict.fromkeys(identity.title_keys(titles, sequence)))
        found.update(dict.fromkeys(_drum_keys(sequence)))
    name = _SPACES.sub(" ", stem)
    if len(_WORD.findall(name)) >= _MIN_WORDS:
        found.update(dict.fromkeys(identity.title_keys([name], sequence)))
    if sequence.notes:
        found[_notes_key(sequence)] = None
    return tuple(found)


def group_key(name: str) -> str:
    """The key of pieces that a table says are one, by the name that it gives them."""
    return f"{GROUP}{_folded(name)}"


def versions(files: Sequence[str]) -> dict[str, str]:
    """Finds the files whose names say that they are versions or takes of one piece.

    They are in one folder, and have one name but for its ending (song.mid, song.musicxml) and for
    marks of a version: "song copy", "song_v2", "song - take 3", and "song (2)" beside "song": where
    all have a number, as in "beat (1)" and "beat (2)", they are different pieces. In a folder with
    takes that have no other name ("take 1.mid"), all of these are of one piece.

    Args:
      files: the paths of all files, with slashes.

    Returns:
      The key of each file that has another version.
    """
    names: defaultdict[str, set[str]] = defaultdict(set)
    for folder, name in map(_place, files):
        names[folder].add(name)
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        folder, name = _place(file)
        base = _base(name, names[folder])
        # Takes in no folder would be the whole corpus.
        if base or folder:
            groups[f"{VERSIONS}{folder}/{base}"].append(file)
    return {file: key for key, some in groups.items() if len(some) > 1 for file in some}


def _place(file: str) -> tuple[str, str]:
    """The folder of a file, and its name without the ending, as these are compared."""
    folder, _, name = file.rpartition("/")
    name = name.rpartition(".")[0] or name
    return _folded(folder), _SPACES.sub(" ", _folded(name)).strip()


def _base(name: str, others: set[str]) -> str:
    """A name without marks of a version; "" where it is the number of a take alone."""
    if _TAKE.fullmatch(name):
        return ""
    while name:
        shorter = _VERSION.sub("", name)
        copied = _COPIED.sub("", name)
        if shorter == name and copied in others:
            shorter = copied
        if shorter in ("", name):
            break
        name = shorter
    return name


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _voice_keys(notes: Sequence[NoteSequence.Note]) -> Iterator[str]:
    """Keys of the highest notes of each instrument."""
    voices: defaultdict[int, dict[float, int]] = defaultdict(dict)
    for note in notes:
        voice = voices[note.instrument]
        voice[note.start_time] = max(note.pitch, voice.get(note.start_time, 0))
    for voice in voices.values():
        pitches = [voice[start] for start in sorted(voice)]
        for run in runs.sample(pitches, _VOICE_RUNS):
            yield f"{identity.RUN}{run.hex()}"


def _drum_keys(sequence: NoteSequence) -> Iterator[str]:
    """Keys of a drum part, by which drums sound at each sixteenth that has any."""
    drums: defaultdict[int, set[int]] = defaultdict(set)
    for step, note in zip(_steps(sequence, _DRUM_STEPS), sequence.notes, strict=True):
        drums[step].add(note.pitch)
    steps = sorted(drums)
    onsets = [
        bytes([*sorted(drums[step]), min(after - step, _LONGEST_GAP)])
        for step, after in zip(steps, steps[1:])
    ]
    for run in runs.sample_onsets(onsets, _DRUM_RUNS):
        yield f"{DRUMS}{run.hex()}"


def _notes_key(sequence: NoteSequence) -> str:
    """A key of all notes: when and how high they begin after the first one, whatever plays them."""
    notes = sequence.notes
    steps = _steps(sequence, _NOTE_STEPS)
    begin = min(steps)
    lowest = 0
    if len(notes) >= _MIN_NOTES:
        lowest = min((note.pitch for note in notes if not note.is_drum), default=0)
    # Drums have no key that they could be in another one of.
    events = {
        (step - begin, note.is_drum, note.pitch - (0 if note.is_drum else lowest))
        for step, note in zip(steps, notes, strict=True)
    }
    return NOTES + " ".join(
        f"{step}{'dp'[not drum]}{pitch}" for step, drum, pitch in sorted(events)
    )


def _steps(sequence: NoteSequence, per_quarter: int) -> list[int]:
    """The nearest step to the beginning of each note."""
    starts = np.array([note.start_time for note in sequence.notes])
    return np.floor(TempoMap(sequence.tempos)(starts) * per_quarter + 0.5).astype(np.int64).tolist()
