"""Sampled runs: the guarantee of winnowing, transposition, and passages that are too plain."""

import random
import zlib

import pytest

from pipelines.tunes import runs
from pipelines.tunes.runs import Sampling

SAMPLINGS = [Sampling(24, 7), Sampling(10, 7), Sampling(5, 1)]


def melody(rng, notes, pitches=tuple(range(60, 78))):
    return [rng.choice(pitches) for _ in range(notes)]


def intervals(pitches):
    return bytes((b - a) % 256 for a, b in zip(pitches, pitches[1:]))


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("seed", range(20))
def test_of_every_few_successive_runs_that_with_the_smallest_hash_is_taken(sampling, seed):
    rng = random.Random(seed)
    pitches = melody(rng, rng.randint(0, 120))
    steps = intervals(pitches)
    all_runs = [
        steps[i : i + sampling.length] for i in range(max(0, len(steps) - sampling.length + 1))
    ]
    # Random melodies have no plain runs of these lengths but by few pitches.
    telling = [run if len(set(heights(run))) >= 4 else None for run in all_runs]
    expected = set()
    for first in range(max(1, len(telling) - sampling.window + 1)):
        some = [run for run in telling[first : first + sampling.window] if run]
        if some:
            expected.add(min(some, key=zlib.crc32))
    found = runs.sample(pitches, sampling)
    assert set(found) == expected and len(found) == len(expected)
    assert [all_runs.index(run) for run in found] == sorted(map(all_runs.index, found))


def heights(run):
    height, found = 0, [0]
    for step in run:
        height = (height + step) % 256
        found.append(height)
    return found


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("seed", range(20))
def test_melodies_with_a_long_enough_passage_in_common_have_a_run_in_common(sampling, seed):
    rng = random.Random(seed)
    # As many intervals as the sampling promises, so one note more.
    common = melody(rng, sampling.length + sampling.window)
    one = melody(rng, rng.randrange(60)) + common + melody(rng, rng.randrange(60))
    up = [pitch + 5 for pitch in common]
    other = melody(rng, rng.randrange(60)) + up + melody(rng, rng.randrange(60))
    assert set(runs.sample(one, sampling)) & set(runs.sample(other, sampling))


def test_a_melody_in_another_key_has_the_same_runs():
    pitches = melody(random.Random(1), 200)
    found = runs.sample(pitches, Sampling(24, 7))
    # Seven successive runs have at least one, and a random one has two in eight on average.
    assert 177 / 7 <= len(found) <= 90
    assert runs.sample([pitch - 11 for pitch in pitches], Sampling(24, 7)) == found


@pytest.mark.parametrize(
    "plain",
    [
        [60] * 80,
        [60, 62] * 40,
        [60, 64, 67] * 30,
        [60, 67, 64, 67, 62, 67] * 15,
        [60, 62, 64, 65, 67, 65, 64, 62] * 12,
        list(range(20, 100)),
        melody(random.Random(2), 90, (60, 62, 67)),
    ],
    ids="repeated trill arpeggio jig-figure reel-figure chromatic three-pitches".split(),
)
def test_plain_passages_are_passed_over(plain):
    assert runs.sample(plain, Sampling(24, 7)) == []
    # What is around them is found all the same.
    rng = random.Random(3)
    strain = melody(rng, 31)
    around = strain + plain + melody(rng, 31)
    assert set(runs.sample(strain, Sampling(24, 7))) <= set(runs.sample(around, Sampling(24, 7)))


@pytest.mark.parametrize("notes, count", [(0, 0), (1, 0), (24, 0), (25, 1), (30, 1), (31, 1)])
def test_a_short_melody_has_one_run_or_none(notes, count):
    assert len(runs.sample(melody(random.Random(4), notes), Sampling(24, 7))) == count


def onsets(rng, count):
    return [rng.choice((b"kick", b"snare", b"hat", b"hat kick", b"ride")) for _ in range(count)]


@pytest.mark.parametrize("seed", range(10))
def test_drum_parts_with_a_long_enough_passage_in_common_have_a_run_in_common(seed):
    rng = random.Random(seed)
    sampling = Sampling(24, 7)
    common = onsets(rng, 30)
    one = runs.sample_onsets(onsets(rng, 20) + common + onsets(rng, 9), sampling)
    other = runs.sample_onsets(common + onsets(rng, 33), sampling)
    assert set(one) & set(other)
    # A run is a hash of each onset; onsets of which there are fewer than a run have none.
    assert {len(run) for run in one} == {4 * 24}
    assert runs.sample_onsets(common[:23], sampling) == []


def test_drum_parts_that_repeat_a_bar_or_have_few_drums_are_plain():
    sampling = Sampling(24, 7)
    bar = [b"kick", b"hat", b"snare", b"hat", b"kick", b"kick hat", b"snare", b"open"]
    assert runs.sample_onsets(bar * 9, sampling) == []
    # Twelve onsets are half of a run.
    assert runs.sample_onsets((bar + bar[:4]) * 5, sampling) == []
    assert runs.sample_onsets((bar + bar[:5]) * 5, sampling) != []
    rng = random.Random(0)
    assert runs.sample_onsets([rng.choice(bar[:3]) for _ in range(99)], sampling) == []
