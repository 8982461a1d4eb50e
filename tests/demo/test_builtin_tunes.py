"""The built-in tunes: notation that adds up, read back by hand and by the project's reader."""

import collections
import hashlib
import re
import subprocess
import sys
from fractions import Fraction

import pytest

from pipelines.demo import composing, dances, engraving, tunes
from pipelines.demo.dice import Dice
from pipelines.music.abc import reader, tunebook
from pipelines.runtime.app import UserError

# A chord symbol, grace notes, the sign of a triplet or a broken rhythm, or a note with its length.
SIGN = re.compile(r'"[^"]*"|\{[^}]*\}|\(3|[<>]|~?[_=^]*([A-Ga-gz])[,\']*(\d*(?:/\d+)?)-?')
BAR_LINE = re.compile(r"[|:\[\]]+[12]?")
# The length of bars, as fractions of a whole note.
BARS = {
    "4/4": Fraction(1),
    "C": Fraction(1),
    "C|": Fraction(1),
    "2/4": Fraction(1, 2),
    "3/4": Fraction(3, 4),
    "6/8": Fraction(3, 4),
    "9/8": Fraction(9, 8),
}
# The sharps of the keys' signatures.
SHARPS = {"G": "F", "D": "FC", "A": "FCG", "Em": "F", "Ador": "F", "Edor": "FC", "Amix": "FC"}


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    """The default corpus: each file's bytes by its name."""
    root = tmp_path_factory.mktemp("builtin") / "tunes"
    counts = tunes.write_corpus(root)
    assert counts == {"reels.abc": 160, "jigs.abc": 90, "others.abc": 90, "settings.abc": 25}
    assert sorted(path.name for path in root.iterdir()) == sorted(counts)
    return {name: (root / name).read_bytes() for name in counts}


@pytest.fixture(scope="module")
def texts(books):
    """Every tune's lines, headers and music apart, taken from the files without our reader."""
    found = []
    for name, data in books.items():
        text = data.decode("latin-1" if name == "settings.abc" else "utf-8").replace("\r\n", "\n")
        for block in text.split("\n\n"):
            lines = block.strip().split("\n")
            if lines[0].startswith("X:"):
                head = next(i for i, line in enumerate(lines) if line.startswith("K:")) + 1
                found.append((name, lines[:head], lines[head:]))
    return found


@pytest.fixture(scope="module")
def played(books):
    """Every tune as the project's reader reads it, with the file's name."""
    return [
        (name, reader.read(tune))
        for name, data in books.items()
        for tune in tunebook.tunes(tunebook.decode(data))
    ]


def field(head, letter):
    return next((line[2:] for line in head if line.startswith(letter + ":")), "")


def length(bar, unit):
    """The length of a bar as a fraction of a whole note, from its signs alone."""
    total, triplet = Fraction(0), 0
    for sign in SIGN.finditer(bar):
        if sign[0] == "(3":
            triplet = 3
        elif sign[1]:
            number, _, under = sign[2].partition("/")
            note = Fraction(int(number or 1), int(under or 1)) * unit
            total += note * Fraction(2, 3) if triplet else note
            triplet = max(0, triplet - 1)
    return total


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        tunes.write_corpus(tmp_path / name, seed=seed)
    first, again, other = ((tmp_path / name / "reels.abc").read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_the_default_corpus_is_the_one_that_was_measured(books):
    # This fails on a machine or Python whose arithmetic gives anything else.
    lines = "".join(f"{name} {hashlib.sha256(data).hexdigest()}\n" for name, data in books.items())
    assert hashlib.sha256(lines.encode()).hexdigest() == (
        "877b52f4e6df7853dcb3bb7795dcb6217ef0471ebe834f5cc9dda69c2f0b2c13"
    )


def test_every_bar_is_full_and_every_pickup_is_made_up_for(texts):
    assert len(texts) == 365
    for name, head, music in texts:
        unit, bar = Fraction(field(head, "L")), BARS[field(head, "M")]
        lines = [line for line in music if line[:2] not in ("P:", "K:")]
        body = " ".join(line.rstrip("\\") for line in lines)
        # Nothing is left without notes and bar lines, so the two patterns know every sign.
        assert not BAR_LINE.sub("", SIGN.sub("", body)).strip(), (name, head)
        lengths = [length(text, unit) for text in BAR_LINE.split(body) if text.strip()]
        pickup = lengths[0] if lengths[0] < bar else Fraction(0)
        assert set(lengths) <= {bar, pickup, bar - pickup}, (name, head)
        num_bars = 2 * (16 if field(head, "R") == "waltz" else 8)
        seconds = len(re.findall(r"\[2|\|2", body))
        assert len(lengths) == num_bars + seconds + 2 * (pickup > 0), (name, head)
        if pickup:
            assert lengths.count(pickup) == 2
            assert lengths.count(bar - pickup) == 2 + seconds
            assert lengths[-1] == bar - pickup


def test_the_reader_keeps_every_tune_and_has_nothing_to_say(played):
    assert len(played) == 365
    for name, sequence in played:
        warnings = [a.text for a in sequence.text_annotations if a.text.startswith("warning")]
        assert not warnings, (name, sequence.sequence_metadata.title, warnings)
        assert sequence.sequence_metadata.title


def test_both_parts_are_as_long_as_they_should_be(played):
    for name, sequence in played:
        qpm = sequence.tempos[0].qpm
        meter = sequence.time_signatures[0]
        bar = 240 / qpm * meter.numerator / meter.denominator
        first = sequence.notes[0].start_time / bar
        bars = -(-(sequence.total_time / bar - 1e-6) // 1) - (first > 0)
        full = {(3, 4): 32}.get((meter.numerator, meter.denominator), 16)
        # A part is played twice, or once if no repeat sign is written.
        assert bars in (full, 2 * full), (name, sequence.sequence_metadata.title)


def test_the_notes_are_those_of_a_fiddle_in_first_position(played):
    pitches = collections.Counter(note.pitch for _, tune in played for note in tune.notes)
    assert 55 <= min(pitches) and max(pitches) <= 83
    assert sum(pitches[pitch] for pitch in range(62, 84)) > 0.95 * sum(pitches.values())


@pytest.mark.parametrize(
    "book, same, step, third, notes_a_bar",
    # Measured on 940 reels and 1,577 jigs of Nottingham, O'Neill's, Ryan's and Aird's.
    [("reels.abc", 0.09, 0.50, 0.27, 7.0), ("jigs.abc", 0.12, 0.50, 0.25, 5.3)],
)
def test_the_melodies_move_as_real_ones_do(played, book, same, step, third, notes_a_bar):
    moves, notes, bars = collections.Counter(), 0, 0
    for name, tune in played:
        if name == book:
            pitches = [note.pitch for note in tune.notes]
            moves.update(abs(a - b) for a, b in zip(pitches, pitches[1:]))
            meter, qpm = tune.time_signatures[0], tune.tempos[0].qpm
            notes += len(pitches)
            bars += tune.total_time * qpm / 240 / (meter.numerator / meter.denominator)
    total = sum(moves.values())
    assert abs(moves[0] / total - same) < 0.04
    assert abs((moves[1] + moves[2]) / total - step) < 0.04
    assert abs((moves[3] + moves[4]) / total - third) < 0.04
    assert abs(notes / bars - notes_a_bar) < 0.3
    # Tritones and leaps beyond the octave are rare in real tunes too: 0.2% each.
    assert moves[6] / total < 0.01
    assert sum(moves[wide] for wide in moves if wide > 12) / total < 0.01


def test_a_tune_ends_at_home_and_says_things_twice(played):
    at_home, shares = [], []
    for _, tune in played:
        at_home.append((tune.notes[-1].pitch - tune.key_signatures[-1].key) % 12 == 0)
        meter, qpm = tune.time_signatures[0], tune.tempos[0].qpm
        bar = 240 / qpm * meter.numerator / meter.denominator
        bars = collections.defaultdict(list)
        for note in tune.notes:
            number = int(note.start_time / bar + 1e-6)
            bars[number].append((round(note.start_time - number * bar, 4), note.pitch))
        shares.append(len(set(map(tuple, bars.values()))) / len(bars))
    # The real reels have 0.74, the jigs 0.85, the waltzes 0.95.
    assert sum(at_home) > 0.85 * len(at_home)
    # The real ones have 0.54 and 0.49.
    assert 0.35 < sum(shares) / len(shares) < 0.6


def test_the_books_have_what_tunebooks_have(books, texts):
    heads = [head for _, head, _ in texts]
    music = ["\n".join(lines) for _, _, lines in texts]
    rhythms = collections.Counter(field(head, "R") for head in heads)
    assert set(rhythms) == {"reel", "jig", "hornpipe", "polka", "waltz", "slip jig"}
    keys = {re.sub(r"[^a-z]", "", field(head, "K").lower())[:4] for head in heads}
    assert {"g", "d", "a", "em", "ador", "edor", "amix", "bm"} <= keys
    for what in ("(3", "~", ">", "<", "{", "-", ":|2", "::", "|]", '"G"', "^", "=", "z", "/2"):
        assert sum(what in text for text in music) >= 3, what
    for letter in "CSNZQP":
        assert sum(bool(field(head, letter)) for head in heads) >= 10, letter
    assert sum(re.search(r"^K:", text, re.M) is not None for text in music) >= 3
    assert sum(len([line for line in head if line.startswith("T:")]) > 1 for head in heads) >= 5
    assert b"\nThe next one goes well after" in books["reels.abc"]
    assert books["settings.abc"].count(b"\r\n") == books["settings.abc"].count(b"\n") > 0
    with pytest.raises(UnicodeDecodeError):
        books["settings.abc"].decode()


def test_a_title_names_one_tune_and_its_settings(texts):
    by_title = collections.defaultdict(list)
    for name, head, music in texts:
        title = field(head, "T")
        plain = f"The {title[:-5]}" if title.endswith(", The") else title
        by_title[plain].append((name, title, music))
    shared = [entries for entries in by_title.values() if len(entries) > 1]
    assert len(shared) == 25
    for (name, title, music), (other, other_title, other_music) in shared:
        assert name != other == "settings.abc"
        assert music != other_music
        # The other spelling of the title, if there is one.
        assert (title == other_title) == (not title.startswith("The ") and ", The" not in title)


@pytest.mark.parametrize("name, sharps", sorted(SHARPS.items()))
def test_the_keys_have_their_sharps(name, sharps):
    assert dances.KEYS[name].sharps == sharps


def test_a_step_is_as_many_semitones_as_the_signature_says():
    # D4 E4 F#4 G4 A4 B4 C#5, and G3 below middle C.
    key = dances.KEYS["D"]
    assert [key.semitones(step) for step in range(1, 8)] == [2, 4, 6, 7, 9, 11, 13]
    assert dances.KEYS["G"].semitones(-3) == -5


@pytest.mark.parametrize(
    "dance",
    [dance for contents in tunes.BOOKS.values() for dance, _ in contents],
    ids=lambda dance: dance.name,
)
def test_rhythms_fill_their_slots(dance):
    def total(rhythm):
        return sum(int(sign.lstrip("BSTRz")) for sign in rhythm.split())

    assert sum(dance.slots) in (2 * dance.bar, 4 * dance.bar)
    assert set(dance.slots) <= set(dance.rhythms)
    for length_, rhythms in [*dance.rhythms.items(), *dance.endings.items()]:
        assert {total(rhythm) for rhythm, _ in rhythms} == {length_}
    for pickup, _ in dance.pickups:
        assert dance.slots[3] - total(pickup) in dance.endings
    for meter, _ in dance.meters:
        assert BARS[meter] == Fraction(dance.bar, 16)


def test_chords_are_named_by_their_thirds():
    tune = engraving.Tune(
        dances.REEL, ("A",), (), "D", composing.Composer(dances.REEL, "D", Dice("chords")).parts()
    )
    notation = engraving.Notation(tune, Dice("chords"))
    key = dances.KEYS["D"]
    assert [notation._symbol(degree, key)[:3] for degree in (1, 2, 3, 4, 6)] == [
        "D",
        "Em",
        "F#m",
        "G",
        "Bm",
    ]
    assert notation._symbol(7, dances.KEYS["Ador"]) == "G"


def test_every_choice_is_made_as_often_as_its_weight_says():
    dice = Dice("weights")
    made = collections.Counter(
        composing.weighted(dice, (("a", 3), ("never", 0), ("b", 1))) for _ in range(8000)
    )
    assert set(made) == {"a", "b"}
    assert abs(made["a"] / 8000 - 0.75) < 0.02


def test_it_overwrites_nothing_and_leaves_nothing_half_done(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    with pytest.raises(UserError, match="mine exists already"):
        tunes.write_corpus(tmp_path / "mine")

    def full(*_):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(tunes, "to_abc", full)
    with pytest.raises(OSError, match="No space"):
        tunes.write_corpus(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_it_needs_nothing_heavy():
    code = (
        "import sys; import pipelines.demo.tunes; "
        "print(sorted({'tensorflow', 'note_seq', 'magenta', 'numpy'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
