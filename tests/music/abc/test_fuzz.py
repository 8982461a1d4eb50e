"""The reader of ABC against damaged tunes: a slice of `python -m experiments.tunes.fuzz`."""

import random
import signal
import time
from collections import Counter

import pytest

from experiments.tunes import fuzz
from pipelines.music.abc import reader
from pipelines.music.note_sequence import NoteSequence

TEXTS = [
    # A pickup, repeats, endings, a tuplet, broken rhythm, grace notes, chord symbols.
    (
        "X:1\nT:One\nR:reel\nM:4/4\nL:1/8\nQ:1/4=120\nK:Ador\n"
        'E|:"Am"A2AB c>BA{c}B|"G"G2 (3GAB d2 dB|[1 "Am"c3 A B2 E2:|[2 c2BG A4|]\n'
    ),
    # Jig, accidentals, ties over bars, parts, words.
    (
        "X:2\nT:Two\nM:6/8\nL:1/8\nP:AAB\nK:Gmix\nP:A\n"
        "d|B>cB AGA|B2^c d2-|d=ef g_ag|\nw:la la la\nP:B\n=f3 d2e|fga b2a|g3-g2||\n"
    ),
    # Voices, chords, rests, inline fields, overlays, a change of key and meter.
    (
        "X:3\nT:Three\nM:3/4\nL:1/4\nK:Bb\nV:1\n[Bd]2 z|F/G/ A B|[M:2/4][K:D]f e|d2|]\n"
        "V:2\nB,3|z2 F,& D,3|D, A,|D,2|]\n"
    ),
    # No key, no meter, long notes, dotted bar lines, a fermata, a staccato.
    "X:4\nT:Four\nM:none\nL:1/16\nK:none\n.c4 Hd8 .|e//f//g/a/ b12|^^C __D ^e,,|\n",
]


@pytest.fixture
def alarmed():
    """Fuzzers interrupt what hangs with an alarm."""
    before = signal.signal(signal.SIGALRM, fuzz._alarm)
    yield
    signal.signal(signal.SIGALRM, before)


def _failures(texts, count, seed="test"):
    fuzzer, rng, counts = fuzz.Fuzzer(texts), random.Random(seed), Counter()
    return [failure for _ in range(count) for failure in fuzzer.damage(rng, counts)]


@pytest.mark.slow
def test_thirty_seconds_of_damage(alarmed):
    fuzzer, rng, counts = fuzz.Fuzzer(TEXTS), random.Random("thirty seconds"), Counter()
    failures = []
    end = time.monotonic() + 30
    while time.monotonic() < end:
        failures += fuzzer.damage(rng, counts)
    assert failures == []
    # Damage that leaves nothing to read would test nothing.
    assert counts["read"] > 0.5 * counts["tunes"] > 50


@pytest.mark.parametrize("index", range(len(TEXTS)))
def test_dress_changes_nothing_and_an_octave_mark_an_octave(index):
    assert list(fuzz.Fuzzer(TEXTS).sound(index)) == []


@pytest.mark.slow
def test_dress_changes_nothing_in_real_tunes(corpora):
    texts = fuzz.texts_of(corpora)
    fuzzer = fuzz.Fuzzer(texts)
    # One in twenty; the command looks at all.
    failures = [failure for at in range(0, len(texts), 20) for failure in fuzzer.sound(at)]
    assert [(failure.kind, failure.text) for failure in failures] == []


def test_damage_is_the_same_for_a_seed_and_differs_between_seeds():
    texts = [[fuzz.damaged(random.Random(seed), TEXTS) for _ in range(3)] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert all(text.startswith("X:1\n") for text in texts[0] + texts[2])


# The fuzzer finds what it looks for


def test_a_crash_is_found(alarmed, monkeypatch):
    read = reader.read

    def crashes(tune):
        if any("K:Ador" in line for line in tune.lines[1:]) and len(tune.lines) > 2:
            raise ZeroDivisionError("made up")
        return read(tune)

    monkeypatch.setattr(reader, "read", crashes)
    failures = _failures(TEXTS[:1], 3)
    assert {(failure.kind, failure.detail) for failure in failures} == {
        ("crash", "ZeroDivisionError: made up")
    }


def test_a_hang_is_found(alarmed, monkeypatch):
    monkeypatch.setattr(fuzz, "_GIVE_UP_SECONDS", 0.2)
    monkeypatch.setattr(reader, "read", lambda tune: time.sleep(60))
    assert [failure.kind for failure in _failures(TEXTS, 2)] == ["hang", "hang"]


def test_slow_reading_is_found(alarmed, monkeypatch):
    monkeypatch.setattr(fuzz, "MAX_SECONDS", -1.0)
    assert "slow" in {failure.kind for failure in _failures(TEXTS, 3)}


def test_what_depends_on_what_was_read_before_is_found(alarmed, monkeypatch):
    calls = iter(range(10**6))
    monkeypatch.setattr(reader, "read", lambda tune: NoteSequence(ticks_per_quarter=next(calls)))
    kinds = {failure.kind for failure in _failures(TEXTS, 5)}
    assert {"neighbour", "not the same twice"} <= kinds


def test_notes_that_depend_on_comments_are_found(monkeypatch):
    read = reader.read

    def confused(tune):
        sequence = read(tune)
        if any("a comment" in line for line in tune.lines):
            del sequence.notes[-1]
        return sequence

    monkeypatch.setattr(reader, "read", confused)
    assert [failure.kind for failure in fuzz.Fuzzer(TEXTS).sound(0)] == ["comments"]
