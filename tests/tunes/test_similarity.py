"""Similarity of tunes and of titles against figures worked out by hand and plain programs."""

import collections
import math

import numpy as np
import pytest

from pipelines.tunes import similarity
from pipelines.tunes.title_text import parse


def tune(*notes):
    """A melody of notes (semitones above the tonic, length's index)."""
    return np.array([(pitch % 12, length) for pitch, length in notes], int).reshape(-1, 2)


def letters(text):
    """A melody of one note for each letter, from "A", the tonic, to "L", each a semitone higher."""
    return tune(*((ord(letter) - ord("A"), 6) for letter in text))


# Three melodies: a scale, the same in other note lengths, and broken chords.
SCALE = [(0, 6), (2, 6), (4, 6), (5, 6), (7, 6)]
SLOW = [(pitch, 9) for pitch, _ in SCALE]
CHORDS = [(0, 6), (4, 6), (7, 6), (4, 6), (0, 6)]


def test_the_nearest_by_hand():
    melodies = similarity.Melodies([tune(*SCALE), tune(*CHORDS), tune(*SLOW)])
    # Any type of integer does.
    queries = [
        tune(*SCALE).astype(np.uint8),
        tune(*CHORDS),
        tune(*SLOW),
        tune((1, 1), (3, 1), (6, 1), (8, 1)),
    ]
    places, near = melodies.nearest(queries, 1)
    assert places[:3].tolist() == [[0], [1], [2]]
    # The last has nothing in common with any: no NaN.
    np.testing.assert_allclose(near, [[1], [1], [1], [0]], atol=1e-12)


def test_how_near_tunes_are_by_hand():
    # In common are the 2-grams AB and BC and the 3-gram ABC; CD, BCD and ABCD are in the one alone,
    # CE, BCE and ABCE in the other. Of two documents, one term of both has the IDF
    # log(3/3) + 1 = 1, of one log(3/2) + 1.
    book = [letters("ABCD"), letters("ABCE")]
    rare = math.log(3 / 2) + 1
    alike = 3 / (3 + 3 * rare**2)
    melodies = similarity.Melodies(book)
    # More than there are: both.
    for count in (2, 10):
        places, near = melodies.nearest(book, count)
        assert places.tolist() == [[0, 1], [1, 0]]
        np.testing.assert_allclose(near, [[1, alike], [1, alike]], rtol=1e-12)


def test_n_grams_that_no_tune_has_count_for_nothing():
    # All n-grams are in one tune of three, so they have one weight; ABCD has six of them.
    melodies = similarity.Melodies([letters("ABCD"), letters("EFGH"), letters("IJKL")])
    # Known are AB, BC and ABC; AB and EF; AB; none.
    queries = [letters(text) for text in ("ABCA", "ABEF", "ABA", "CABD", "CAC")]
    places, near = melodies.nearest(queries, 2)
    one = math.sqrt(1 / 6)
    expected = [[math.sqrt(3 / 6), 0], [1 / math.sqrt(12)] * 2, [one, 0], [one, 0], [0, 0]]
    np.testing.assert_allclose(near, expected, rtol=1e-12)
    # The first of equally near ones counts.
    assert places.tolist() == [[0, 1]] * 5


def test_n_grams_that_come_again_count_by_the_logarithm():
    # AB, BA and ABA twice; BAB, ABAB, BABA and ABABA once.
    melodies = similarity.Melodies([letters("ABABA")])
    twice = 1 + math.log(2)
    near = melodies.nearest([letters("AB"), letters("BBAA"), letters("ABABA")], 1)[1]
    norm = math.sqrt(3 * twice**2 + 4)
    np.testing.assert_allclose(near.ravel(), [twice / norm, twice / norm, 1], rtol=1e-12)


def drawn(rng, count, least=2):
    """Tunes of a few notes, so that many have n-grams in common."""
    return [
        tune(
            *(
                (int(pitch), int(length))
                for pitch, length in zip(
                    rng.choice([-5, 0, 2, 7, 12], size), rng.choice([6, 9], size, p=[0.8, 0.2])
                )
            )
        )
        for size in rng.integers(least, 20, count)
    ]


def plain_grams(one):
    notes = [tuple(note) for note in one.tolist()]
    return collections.Counter(
        tuple(notes[at : at + size]) for size in (2, 3, 4, 5) for at in range(len(notes) - size + 1)
    )


def plain_cosines(book, queries):
    """The same by dictionaries."""
    grams = [plain_grams(one) for one in book]
    documents = collections.Counter(gram for one in grams for gram in one)
    idf = {gram: math.log((1 + len(book)) / (1 + n)) + 1 for gram, n in documents.items()}

    def vector(counts):
        found = {g: (1 + math.log(n)) * idf[g] for g, n in counts.items() if g in idf}
        norm = math.sqrt(sum(value**2 for value in found.values())) or 1
        return {gram: value / norm for gram, value in found.items()}

    vectors = [vector(one) for one in grams]
    asked = [vector(plain_grams(one)) for one in queries]
    return np.array([[sum(a[g] * b.get(g, 0) for g in a) for b in vectors] for a in asked])


def test_random_tunes_by_a_plain_program(monkeypatch):
    rng = np.random.default_rng(0)
    book, queries = drawn(rng, 40), drawn(rng, 30, least=0)
    melodies = similarity.Melodies(book)
    expected = plain_cosines(book, queries)
    assert 0.2 < np.median(expected.max(axis=1)) < 0.9 and (expected == 0).any()
    places, near = melodies.nearest(queries, 7)
    assert places.shape == near.shape == (30, 7)
    np.testing.assert_allclose(near, -np.sort(-expected, axis=1)[:, :7], atol=1e-12)
    np.testing.assert_allclose(near, np.take_along_axis(expected, places, 1), atol=1e-12)
    # Block after block it is the same, and so with less asked for.
    for block in (1, 100):
        monkeypatch.setattr(similarity, "_BLOCK", block)
        again = melodies.nearest(queries, 7)
        assert np.array_equal(again[0], places) and np.array_equal(again[1], near)
    assert np.array_equal(melodies.nearest(queries, 1)[0], places[:, :1])
    assert [part.shape for part in melodies.nearest([], 3)] == [(0, 3), (0, 3)]


def test_the_order_of_tunes_makes_no_difference_to_cosines():
    rng = np.random.default_rng(1)
    book, queries = drawn(rng, 40), drawn(rng, 30)
    near = similarity.Melodies(book).nearest(queries, 40)[1]
    order = rng.permutation(40)
    mixed = similarity.Melodies([book[at] for at in order]).nearest(queries[::-1], 40)[1]
    # To the last bit: a threshold lies somewhere.
    assert np.array_equal(mixed[::-1], near)


@pytest.mark.parametrize(
    "text, other, expected",
    [
        # " k", "ki", "it", "tt" and then "ty", "y " or "ti", "ie", "e ".
        ("kitty", "kittie", 2 * 4 / (6 + 7)),
        # " r", "ra", "ak", "ke", "es", "s "; " o", "of", "f "; " m", "ma", "al", "ll", "lo" and
        # then "ow", "w " or "o ".
        ("the rakes of mallow", "rakes of mallo", 2 * (6 + 3 + 5) / (16 + 15)),
        # The two words have 7 and 5 pairs; the one has 11, with "rl" instead of "r " and " l".
        ("silver lake", "silverlake", 2 * 10 / (12 + 11)),
        # Words in another order, and pairs that come again, make no difference.
        ("silver lake", "lake silver", 1),
        ("banana", "bana", 1),
        # Ends of words do: " x", "x " are half of the other's.
        ("x", "x z", 2 * 2 / (2 + 4)),
        ("cat", "dog", 0),
        # Rhythm words, articles and possessives.
        ("paddy's jig", "the paddy reel", 1),
        ("o'neil's quick step", "oneil", 1),
        ("because he was a bonny lad", "because he was a bonnie lad reel", 2 * 21 / (23 + 23)),
        ("katie's rambles", "kitty's rambles", 2 * (1 + 8) / (14 + 14)),
        # Nothing but rhythm words: " r", "re", "ee", "el", "l " and " r", "re", "ee", "el", "ls",
        # "s "; " s", "sl", "li", "ip", "p " and " j", "ji", "ig", "g ".
        ("the reel", "a reel", 1),
        ("the reel", "reels", 2 * 4 / (5 + 6)),
        ("slip jig", "jig", 2 * 4 / (9 + 4)),
        ("the reel", "x reel", 0),
        # Nothing but articles.
        ("the", "the", 1),
        ("the", "a", 0),
        # Any letters: " д", "до", "ом" and then "м " or "ма", "а "; one of a word, two of two.
        ("дом", "дома", 2 * 3 / (4 + 5)),
        ("春", "春 江", 2 * 2 / (2 + 4)),
        ("", "x", 0),
        ("", "", 0),
    ],
)
def test_how_similar_titles_are_by_hand(text, other, expected):
    for one, two in ((text, other), (other, text)):
        assert similarity.title_similarity([one], [two]) == pytest.approx([expected], abs=1e-6)
    # The most similar of several titles counts.
    found = similarity.title_similarity([text, "zzz"], ["qqq", other, "zz", "qqq"])
    # " z", "zz", "z " are those of "zz".
    assert found == pytest.approx([expected, 1], abs=1e-6)


def test_titles_as_they_are_parsed():
    [one], [other] = parse("Ceól Bláchán's (Reel)"), parse("Ceol Blachans, The")
    assert (one.text, other.text) == ("ceol blachan's", "the ceol blachans")
    # " c", "ce", "eo", "ol", "l "; " b", "bl", "la", "ac", "ch", "ha", "an" and then "n " or "ns",
    # "s ".
    found = similarity.title_similarity([one.text], [other.text])
    assert found == pytest.approx([2 * (5 + 7) / (13 + 14)], abs=1e-6)


def test_no_titles():
    assert similarity.title_similarity([], ["x"]).shape == (0,)
    assert similarity.title_similarity([], []).shape == (0,)
    assert similarity.title_similarity(["x", "y"], []).tolist() == [0, 0]
    assert similarity.title_similarity(["", "x"], ["", ""]).tolist() == [0, 0]


def test_random_titles_by_a_plain_program(monkeypatch):
    rng = np.random.default_rng(2)

    def word():
        return "".join(rng.choice(list("abcö"), rng.integers(1, 5)))

    texts, others = (
        # "x" keeps any from being an article alone.
        [" ".join([word() + "x" for _ in range(rng.integers(1, 4))]) for _ in range(count)]
        for count in (60, 40)
    )

    def pairs(text):
        return {a + b for one in text.split() for a, b in zip(f" {one}", f"{one} ")}

    expected = [
        max(2 * len(pairs(a) & pairs(b)) / (len(pairs(a)) + len(pairs(b))) for b in others)
        for a in texts
    ]
    assert len(set(expected)) > 10
    found = similarity.title_similarity(texts, others)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.array_equal(similarity.title_similarity(texts, others[::-1]), found)
    for block in (1, 100):
        monkeypatch.setattr(similarity, "_BLOCK", block)
        assert np.array_equal(similarity.title_similarity(texts, others), found)
