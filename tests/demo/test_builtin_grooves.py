"""The built-in grooves: the release's layout, read back by mido, and statistics of the music."""

import collections
import csv
import hashlib
import subprocess
import sys

import mido
import pytest

from pipelines.demo import grooves, patterns
from pipelines.runtime.app import UserError

STEP = 120
ROLAND = {
    "kick": {36},
    "snare": {38, 37, 40},
    "closed": {42, 22, 44},
    "open": {46, 26},
    "low": {43, 58},
    "mid": {47, 45},
    "high": {50, 48},
    "crash": {49, 52, 55, 57},
    "ride": {51, 53, 59},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The default corpus' folder, and its info.csv as read by the csv module."""
    root = tmp_path_factory.mktemp("builtin") / "groove"
    written = grooves.write_corpus(root)
    with open(root / "info.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows == written
    return root, rows


@pytest.fixture(scope="module")
def hits(corpus):
    """Every (tick, pitch, velocity) of each piece, read by mido."""
    root, rows = corpus
    return {row["id"]: read(root / row["midi_filename"]) for row in rows}


def read(path):
    now, found = 0, []
    for message in mido.MidiFile(path).tracks[0]:
        now += message.time
        if message.type == "note_on" and message.velocity:
            found.append((now, message.note, message.velocity))
    return found


def steps_of(played, pitches):
    return {round(tick / STEP) for tick, pitch, _ in played if pitch in pitches}


def digest(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        grooves.write_corpus(tmp_path / name, seed=seed, num_beats=25, num_fills=10)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a")["info.csv"] != digest(tmp_path / "c")["info.csv"]


@pytest.mark.slow
def test_the_default_corpus_is_the_one_that_was_measured(corpus):
    # This fails on a machine or Python whose arithmetic gives anything else.
    root, _ = corpus
    lines = "".join(f"{name} {sha}\n" for name, sha in sorted(digest(root).items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == (
        "bec0155c2d7610166ae6847204e92f6e7a167418d63447b0acc589c892ef883e"
    )


def test_the_table_is_laid_out_as_the_release(corpus):
    root, rows = corpus
    first = (root / "info.csv").read_text(encoding="utf-8").splitlines()[0]
    assert first == (
        "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,"
        "audio_filename,duration,split"
    )
    for row in rows:
        drummer, session, number = row["id"].split("/")
        style = row["style"].replace("/", "-")
        assert (row["drummer"], row["session"]) == (drummer, f"{drummer}/{session}")
        assert row["midi_filename"] == (
            f"{drummer}/{session}/{number}_{style}_{row['bpm']}_{row['beat_type']}"
            f"_{row['time_signature']}.mid"
        )
        assert (session == "eval_session") <= (row["split"] == "test")
    assert len({row["id"] for row in rows}) == len(rows)
    on_disk = {str(path.relative_to(root)) for path in root.rglob("*.mid")}
    assert on_disk == {row["midi_filename"] for row in rows}
    assert len(on_disk) == len(rows)


def test_the_files_say_what_the_table_says(corpus):
    root, rows = corpus
    for row in rows:
        midi = mido.MidiFile(root / row["midi_filename"])
        assert (midi.type, midi.ticks_per_beat, len(midi.tracks)) == (0, 480, 1)
        track = midi.tracks[0]
        tempos = [message.tempo for message in track if message.type == "set_tempo"]
        meters = [
            (message.numerator, message.denominator)
            for message in track
            if message.type == "time_signature"
        ]
        assert tempos == [60_000_000 // int(row["bpm"])]
        assert meters == [tuple(map(int, row["time_signature"].split("-")))]
        assert abs(midi.length - float(row["duration"])) < 1e-6
        channels = {message.channel for message in track if not message.is_meta}
        assert channels == {9}


def test_every_note_ends_before_its_drum_is_struck_again(corpus):
    root, rows = corpus
    for row in rows:
        sounding = set()
        for message in mido.MidiFile(root / row["midi_filename"]).tracks[0]:
            if message.type == "note_on":
                assert 1 <= message.velocity <= 127
                assert message.note not in sounding
                sounding.add(message.note)
            elif message.type == "note_off":
                sounding.remove(message.note)
        assert not sounding


def test_hits_are_near_the_grid_but_not_on_it(hits):
    offsets = [
        tick - round(tick / STEP) * STEP for played in hits.values() for tick, _, _ in played
    ]
    assert max(map(abs, offsets)) <= 54
    assert sum(offset != 0 for offset in offsets) > 0.9 * len(offsets)
    assert {pitch for played in hits.values() for _, pitch, _ in played} <= set.union(
        *ROLAND.values()
    )


def test_a_swung_groove_swings_and_a_straight_one_does_not(corpus, hits):
    _, rows = corpus

    def mean_offset(style, step):
        offsets = [
            tick - round(tick / STEP) * STEP
            for row in rows
            if row["style"] == style and row["time_signature"] == "4-4"
            for tick, pitch, _ in hits[row["id"]]
            if pitch in ROLAND["ride"] | ROLAND["closed"] and round(tick / STEP) % 4 == step
        ]
        return sum(offsets) / len(offsets)

    # The third of a triplet is at tick 320, forty before the last sixteenth.
    assert -55 < mean_offset("jazz", 3) - mean_offset("jazz", 0) < -20
    assert abs(mean_offset("rock", 2) - mean_offset("rock", 0)) < 10


def test_rock_has_a_backbeat_and_reggae_none_on_one(corpus, hits):
    _, rows = corpus

    def share(style, drum, step):
        bars = found = 0
        for row in rows:
            if (row["style"], row["beat_type"], row["time_signature"]) == (style, "beat", "4-4"):
                steps = steps_of(hits[row["id"]], ROLAND[drum])
                length = max(steps) // 16 + 1
                bars += length
                found += sum(bar * 16 + step in steps for bar in range(length))
        return found / bars

    assert share("rock", "snare", 4) > 0.85 and share("rock", "kick", 0) > 0.85
    assert share("rock", "snare", 12) > 0.7 > 0.3 > share("rock", "snare", 2)
    assert share("reggae", "snare", 4) < 0.3 < 0.5 < share("reggae", "kick", 8)


def test_a_crash_comes_on_a_downbeat_mostly(hits):
    crashes = [
        step % 16 for id_, played in hits.items() for step in steps_of(played, ROLAND["crash"])
    ]
    assert len(crashes) > 200
    assert collections.Counter(crashes)[0] > 0.6 * len(crashes)


def test_nobody_plays_every_bar_alike_and_yet_bars_come_back(corpus, hits):
    _, rows = corpus
    shares = []
    for row in rows:
        if row["beat_type"] == "beat" and row["time_signature"] == "4-4":
            bars = collections.defaultdict(set)
            for drum, pitches in ROLAND.items():
                for step in steps_of(hits[row["id"]], pitches):
                    bars[step // 16].add((step % 16, drum))
            shares.append(len(set(map(frozenset, bars.values()))) / len(bars))
    # It is 0.85 in the real recordings.
    assert 0.7 < sum(shares) / len(shares) < 0.95


def test_there_is_enough_of_it_in_every_split(corpus, hits):
    _, rows = corpus
    assert collections.Counter(row["beat_type"] for row in rows) == {"beat": 130, "fill": 130}
    splits = collections.Counter(row["split"] for row in rows)
    # The release has 897, 124 and 129, of 1,150.
    assert 0.72 < splits["train"] / 260 < 0.85
    assert min(splits["validation"], splits["test"]) > 0.05 * 260
    assert {row["time_signature"] for row in rows} == {"4-4", "3-4", "6-8"}

    windows = collections.Counter()
    for row in rows:
        bars = round(hits[row["id"]][-1][0] / STEP) // 16 + 1
        if row["time_signature"] == "4-4":
            windows[row["split"]] += max(0, bars - 3)
    assert windows["train"] > 1500 and sum(windows.values()) > 2000
    assert min(windows.values()) > 100


def test_every_style_is_learnt(corpus):
    _, rows = corpus
    for kind in ("beat", "fill"):
        learnt = {
            row["style"] for row in rows if row["split"] == "train" and row["beat_type"] == kind
        }
        assert learnt == {groove.style for groove in patterns.GROOVES}


@pytest.mark.parametrize("groove", patterns.GROOVES, ids=lambda groove: groove.style)
def test_patterns_are_well_formed(groove):
    assert groove.meter in ("4-4", "3-4", "6-8")
    for drum, lane in groove.lanes.items():
        assert drum in patterns.PITCHES
        for bar in lane.split("|"):
            assert len(bar) == {"4-4": 16, "3-4": 12, "6-8": 12}[groove.meter], bar
            assert set(bar) <= set("Xxog.pq")


def test_every_seed_gives_every_style_in_train():
    for seed in range(20):
        pieces = grooves.plan(seed, 60, 40)
        assert collections.Counter(piece.kind for piece in pieces) == {"beat": 60, "fill": 40}
        assert len({piece.id for piece in pieces}) == 100
        for piece in pieces:
            assert piece.groove.bpm[0] <= piece.bpm <= piece.groove.bpm[1]
        assert {groove.style for groove in patterns.GROOVES} == {
            piece.style for piece in pieces if piece.split == "train"
        }


def test_the_bell_is_about_normal():
    dice = grooves.Dice("bell")
    values = [dice.bell() for _ in range(20_000)]
    mean = sum(values) / len(values)
    assert abs(mean) < 0.03
    assert abs(sum(value**2 for value in values) / len(values) - 1) < 0.03
    assert max(map(abs, values)) <= 3.47


def test_it_overwrites_nothing_and_leaves_nothing_half_done(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    with pytest.raises(UserError, match="mine exists already"):
        grooves.write_corpus(tmp_path / "mine", num_beats=1, num_fills=1)
    (tmp_path / "empty").mkdir()
    grooves.write_corpus(tmp_path / "empty", num_beats=1, num_fills=1)
    assert len(digest(tmp_path / "empty")) == 3

    def full(*_):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(mido.MidiFile, "save", full)
    with pytest.raises(OSError, match="No space"):
        grooves.write_corpus(tmp_path / "new", num_beats=2, num_fills=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "mine"]


def test_it_needs_nothing_heavy():
    code = (
        "import sys; import pipelines.demo.grooves; "
        "print(sorted({'tensorflow', 'note_seq', 'magenta', 'numpy'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
