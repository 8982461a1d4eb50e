"""The baselines against figures worked out by hand."""

import math

import numpy as np
import pytest

from pipelines.representations.scale_degrees import NOTE_SIZES, Melody
from pipelines.systems.titles import baselines, neighbours
from pipelines.systems.titles.tunes import Tune
from pipelines.tunes.title_text import parse

pytestmark = pytest.mark.keras3

TONIC = NOTE_SIZES["pitch"] // 2


def tune(name, titles=(), notes=(), meter=2, mode=1):
    """A tune of notes (semitones above the tonic, length's index)."""
    columns = np.array([(TONIC + pitch, 0, length, 1) for pitch, length in notes], np.uint8)
    found = tuple(parsed for title in titles for parsed in parse(title))
    assert len(found) == len(titles)
    melody = Melody(columns.reshape(-1, 4), meter, mode, 0)
    return Tune(name, found, melody, None, (), "", "", "", "")


def bag_of(*words):
    """An encoder: how often each of these words is in a text."""
    return lambda texts: np.array(
        [[text.split().count(word) for word in words] for text in texts], np.float32
    ).reshape(len(texts), len(words))


JIG, REEL, WALTZ = 7, 5, 4
BOOK = [
    tune("a", ["Paddy's Jig"], meter=JIG),
    tune("b", ["Kitty's Jig"], meter=JIG, mode=2),
    tune("c", ["Paddy's Reel"], meter=REEL),
    tune("d", meter=WALTZ),
]


def test_random_scores_follow_from_the_seed_alone():
    tunes, texts = BOOK, ["x"] * 5000
    first, again, other = (baselines.Random(seed).scores(tunes, texts) for seed in (1, 1, 2))
    assert first.shape == (4, 5000) and np.array_equal(first, again)
    assert len(np.unique(first)) == 20000 and not np.any(first == other)
    # Uniform: the mean of 20,000 has a standard deviation of 0.002.
    assert abs(first.mean() - 0.5) < 0.01


def test_most_frequent_words_by_hand():
    scorer = baselines.MostFrequentWords(BOOK)
    # In titles: paddy's 2, jig 2, kitty's 1, reel 1.
    texts = ["paddy's jig", "kitty's reel", "paddy's fancy", "fancy", "", "jig jig kitty's"]
    found = scorer.scores(BOOK[:2], texts)
    two, one = math.log(3), math.log(2)
    expected = [two, one, two / 2, 0, 0, (2 * two + one) / 3]
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-12)
    # A word counts once in a title, and once in each title of a tune.
    scorer = baselines.MostFrequentWords([tune("a", ["New York, New York", "York Town"])])
    np.testing.assert_allclose(
        scorer.scores(BOOK[:1], ["new", "york"]), [[math.log(2), math.log(3)]], rtol=1e-12
    )


def test_meter_and_mode_by_hand():
    scorer = baselines.MeterAndMode(BOOK, of_any_meter=2, of_any_mode=4)
    texts = ["jig", "paddy's jig", "fancy jig", "fancy", ""]
    # Words: paddy's 2, jig 2, kitty's 1, reel 1 of 6, so P(jig) = 1/3 and P(paddy's) = 1/3.
    # Jigs: paddy's 1, jig 2, kitty's 1, of 4; with two of any meter
    #   P(jig | jigs) = (2 + 2/3) / 6 = 4/9, P(paddy's | jigs) = (1 + 2/3) / 6 = 5/18.
    # Jigs in the first mode: paddy's 1, jig 1, of 2; with four of any mode
    #   P(jig) = (1 + 16/9) / 6 = 25/54, P(paddy's) = (1 + 10/9) / 6 = 19/54.
    # Over 1/3: 25/18 and 19/18.
    jig, paddys = math.log(25 / 18), math.log(19 / 18)
    # No jig is in the third mode: (0 + 4 * 4/9) / 4 = 4/9, as if the mode were not known.
    jig_only = math.log(4 / 3)
    # Reels: paddy's 1, reel 1, of 2: P(jig) = (0 + 2/3) / 4 = 1/6, P(paddy's) = (1 + 2/3) / 4
    # = 5/12; all are of the first mode: P(jig) = (0 + 2/3) / 6 = 1/9, P(paddy's) = (1 + 5/3) / 6
    # = 4/9. Over 1/3: 1/3 and 4/3.
    reel_jig, reel_paddys = math.log(1 / 3), math.log(4 / 3)
    tunes = [BOOK[0], tune("e", meter=JIG, mode=3), BOOK[2], BOOK[3]]
    both = jig_only + math.log(5 / 6)
    expected = [
        [jig, paddys + jig, jig, 0, 0],
        [jig_only, both, jig_only, 0, 0],
        [reel_jig, reel_paddys + reel_jig, reel_jig, 0, 0],
        # There is no waltz: nothing is known.
        [0, 0, 0, 0, 0],
    ]
    np.testing.assert_allclose(scorer.scores(tunes, texts), expected, atol=1e-12)


def test_meter_and_mode_say_the_same_of_tunes_of_the_same():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    book = [
        tune(str(i), ["the " + " ".join(rng.choice(words, 3))], (), *rng.integers(1, 4, 2).tolist())
        for i in range(60)
    ]
    scores = baselines.MeterAndMode(book).scores(book, [t.titles[0].text for t in book])
    kinds = np.array([(t.melody.meter, t.melody.mode) for t in book])
    for kind in np.unique(kinds, axis=0):
        rows = scores[(kinds == kind).all(axis=1)]
        # Exactly, or ties would not be ties.
        assert np.array_equal(rows, np.tile(rows[0], (len(rows), 1)))


# Three melodies: a scale, the same in other note lengths, and broken chords.
SCALE = [(0, 6), (2, 6), (4, 6), (5, 6), (7, 6)]
SLOW = [(pitch, 9) for pitch, _ in SCALE]
CHORDS = [(0, 6), (4, 6), (7, 6), (4, 6), (0, 6)]


def test_the_nearest_neighbour_by_hand():
    book = [
        tune("a", ["Silver Stream"], SCALE),
        tune("b", ["Golden Stream", "Golden Bell"], CHORDS),
        tune("c", [], SLOW),
        tune("d", ["Silver Bell"], SLOW),
    ]
    embed = bag_of("silver", "golden", "stream", "bell")
    scorer = baselines.NearestNeighbour(book, embed, neighbours=1)
    # An octave lower, and of another meter: nothing else is like it.
    queries = [
        tune("x", ["Golden Bell"], [(pitch - 12, length) for pitch, length in SCALE], meter=JIG),
        tune("y", [], CHORDS),
        tune("z", [], SLOW),
        tune("0", [], [(1, 1), (3, 1), (6, 1), (8, 1)]),
    ]
    texts = ["silver stream", "golden bell", "stream", "bell bell", "lake"]
    half, side = 1 / 2, math.sqrt(1 / 2)
    expected = [
        # The nearest title is "silver stream".
        [1, 0, side, 0, 0],
        # It is "golden stream" or "golden bell", whichever is more alike.
        [half, 1, side, side, 0],
        # It is "silver bell".
        [half, half, 0, side, 0],
        # Nothing is like it: no score, and no NaN.
        [0, 0, 0, 0, 0],
    ]
    np.testing.assert_allclose(scorer.scores(queries, texts), expected, atol=1e-6)


def test_neighbours_count_by_how_near_they_are_by_hand():
    # Half of six n-grams are in both, with the IDF 1, the others in one tune of two.
    book = [
        tune("a", ["Silver"], [(0, 6), (2, 6), (4, 6), (5, 6)]),
        tune("b", ["Golden"], [(0, 6), (2, 6), (4, 6), (7, 6)]),
    ]
    rare = math.log(3 / 2) + 1
    alike = 3 / (3 + 3 * rare**2)
    embed = bag_of("silver", "golden")
    scorer = baselines.NearestNeighbour(book, embed, neighbours=2, power=1)
    found = scorer.scores(book, ["silver", "golden"])
    one = 1 / (1 + alike)
    np.testing.assert_allclose(found, [[one, 1 - one], [1 - one, one]], rtol=1e-6)
    squared = baselines.NearestNeighbour(book, embed, neighbours=2, power=2)
    two = 1 / (1 + alike**2)
    found = squared.scores(book[:1], ["silver", "golden"])
    np.testing.assert_allclose(found, [[two, 1 - two]], rtol=1e-6)
    # More than there are: both.
    many = baselines.NearestNeighbour(book, embed, neighbours=10)
    np.testing.assert_allclose(
        many.scores(book, ["silver", "golden"])[0], [two, 1 - two], rtol=1e-6
    )


def test_the_nearest_neighbour_by_spelling():
    book = [tune("a", ["Lin"], SCALE), tune("b", ["Lin's"], CHORDS), tune("c", ["Dog"], SLOW)]
    scorer = baselines.NearestNeighbour(book, neighbours=1)
    # Within words, with a space at both ends: " lin " has " li", "lin", "in ", " lin", "lin " and
    # " lin "; all in training. So " lint " shares " li", "lin" and " lin"; the rest is not in
    # training and counts for nothing. " lin's " has these
    # three too. Their IDF is log(4/3) + 1, that of "in ", "lin " and " lin ", in
    # one title of three, log(4/2) + 1.
    common, rare = math.log(4 / 3) + 1, math.log(2) + 1
    cosine = math.sqrt(3 * common**2 / (3 * common**2 + 3 * rare**2))
    found = scorer.scores(book, ["lin", "lint", "dog", "cat"])
    np.testing.assert_allclose(found[0], [1, cosine, 0, 0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[2], [0, 0, 1, 0], atol=1e-12)
    assert 0 < found[1][0] < 1


def test_pieces_of_the_work_make_no_difference(monkeypatch):
    rng = np.random.default_rng(1)
    words = [f"w{i}" for i in range(20)]

    def made(name):
        notes = [(int(pitch), 6) for pitch in rng.choice([0, 2, 4, 7], 12)]
        return tune(name, [" ".join(rng.choice(words, 2)) for _ in range(2)], notes)

    book, queries = ([made(f"{kind}{i}") for i in range(25)] for kind in "bq")
    texts = [title.text for query in queries for title in query.titles]
    scorer = baselines.NearestNeighbour(book, bag_of(*words))
    whole = scorer.scores(queries, texts)
    monkeypatch.setattr(neighbours, "_BLOCK", 1)
    np.testing.assert_allclose(scorer.scores(queries, texts), whole, atol=1e-12)
    # In any order of queries and texts.
    mixed = scorer.scores(queries[::-1], texts[::-1])
    np.testing.assert_allclose(mixed[::-1, ::-1], whole, atol=1e-12)


def test_all_of_them_in_order_and_of_nothing():
    book = [tune("a", ["Silver"], SCALE), tune("b", [], CHORDS)]
    made = baselines.of(book, seed=3)
    assert list(made) == [
        "random",
        "most_frequent_words",
        "meter_and_mode",
        "nearest_neighbour",
        "ten_nearest_neighbours",
    ]
    for scorer in made.values():
        for tunes, texts in ((book, ["silver", "gold"]), (book, []), ([], ["silver"])):
            scores = scorer.scores(tunes, texts)
            assert scores.shape == (len(tunes), len(texts)) and np.isfinite(scores).all()
    with pytest.raises(ValueError, match="no training tune has a title"):
        baselines.of(book[1:])
