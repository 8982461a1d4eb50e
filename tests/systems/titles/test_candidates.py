"""What training has is left out, by hand and in mixtures; what is ranked then, and what is not."""

import json
import math

import numpy as np
import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.titles import candidates, evaluation, report
from pipelines.tunes import splits
from pipelines.tunes.title_text import parse
from tests.support.scorers import (
    HELD_OUT,
    NOTHING,
    Hashed,
    Known,
    book,
    melody_of,
    value,
    with_notes,
)

pytestmark = pytest.mark.keras3

AS_THEY_ARE, WITHOUT_RHYTHM = "titles_as_they_are", "without_rhythm_words"
VERSIONS = "settings of tunes in training"
NEAR_MELODIES = "tunes with nearly the melody of one in training"
IN_TRAINING, NEAR_TITLES = "titles in training", "titles spelt nearly as one in training"


def test_what_training_has_is_left_out():
    training = book(
        # A version of B: the tune goes with both of its titles.
        ("x/1", "B", "Anything"),
        # The title alone is known: "Swan's Lake" goes, its tune stays as a candidate.
        ("x/2", "G", "The Swan's Lake"),
    )
    held_out = book(
        *[
            (tune.id, "ABCDEFGH"[group], *(title.shown for title in tune.titles))
            for tune, group in zip(HELD_OUT.tunes, HELD_OUT.groups)
        ],
        ("two/4", "E", "Third Rail"),
    )
    towers = Known()
    result = evaluation.evaluate({"towers": towers}, held_out, training, resamples=50)
    assert towers.asked[0] == (
        ["one/1", "two/1", "two/2", "two/3", "two/4"],
        ["silver lake", "third rail"],
    )
    assert result["dropped"] == {VERSIONS: 1, NEAR_MELODIES: 0}
    dropped = result["sections"][AS_THEY_ARE]["dropped"]
    assert (dropped[IN_TRAINING], dropped[NEAR_TITLES]) == (1, 0)
    assert result["sections"][AS_THEY_ARE]["tune_to_title"]["queries"] == 3
    assert result["sections"][AS_THEY_ARE]["title_to_tune"]["candidates"] == 5


def test_nearly_the_melody_of_one_in_training_by_hand(monkeypatch):
    held_out = book(
        ("a/half", "A", "Silver Lake"),
        ("a/one", "B", "Golden Bell"),
        # Another version of it: left out with it.
        ("a/none", "B", "Third Rail"),
        # A version is in training too: left out for that.
        ("a/version", "D", "Old Mill"),
        ("a/same", "E"),
        ("a/other", "F", "Green Hill"),
        ("a/last", "H", "Blue Boat"),
    )
    notes = {"half": "ABCA", "one": "CABD", "none": "CAC", "version": "ABCD", "same": "EFGH"}
    held_out = with_notes(held_out, **notes)
    training = with_notes(book(("x/p", "D", "Hat"), ("x/q", "G", "Dog")), p="ABCD", q="EFGH")
    # All n-grams of training are in one tune of two, six in each: their IDF is log(3/2) + 1. The
    # first has three of the six of "half", one of "one", none of "none". The others are in no tune
    # of two: log(3/1) + 1.
    known, new = math.log(3 / 2) + 1, math.log(3) + 1
    half = 3 * known / math.sqrt(6 * (3 * known**2 + 3 * new**2))
    one = known / math.sqrt(6 * (known**2 + 5 * new**2))
    for threshold, left in (
        (1e-9, ["other", "last"]),
        (one - 1e-9, ["other", "last"]),
        (one + 1e-9, ["one", "none", "other", "last"]),
        (half - 1e-9, ["one", "none", "other", "last"]),
        (half + 1e-9, ["half", "one", "none", "other", "last"]),
    ):
        monkeypatch.setattr(candidates, "_MELODIES_ALIKE", threshold)
        towers = Known()
        result = evaluation.evaluate({"towers": towers}, held_out, training, resamples=50)
        assert towers.asked[0][0] == [f"a/{name}" for name in left]
        assert result["dropped"] == {VERSIONS: 1, NEAR_MELODIES: 6 - len(left)}
        # Titles of tunes that are left out do not count: not as left out, nor as candidates.
        assert result["titles"] == len(left) and len(towers.asked[0][1]) == len(left)
        assert sum(result["sections"][AS_THEY_ARE]["dropped"].values()) == 0
        line = report.table(result).split("\n")[0]
        assert f"1 {VERSIONS}, {6 - len(left)} {NEAR_MELODIES})" in line


def test_spelt_nearly_as_one_in_training_by_hand(monkeypatch):
    held_out = book(
        ("a/1", "A", "Kittie's Jig", "Old Mill"),
        ("a/2", "B", "Golden Bell"),
        # Two spellings of one, of which the second is like that of training, the first less so.
        ("a/3", "C", "Silver Lake"),
        ("a/4", "D", "Silverlake"),
        ("a/5", "E", "The Third Rail"),
    )
    training = book(("x/1", "F", "Silverlaker"), ("x/2", "G", "The Kitty", "Third Rail"))
    # "kitty" has " k", "ki", "it" and "tt" in common with "kittie", of 6 and 7 pairs;
    # "silverlaker" (" s", "si", "il", "lv", "ve", "er", "rl", "la", "ak", "ke", "r ") and
    # "silverlake" ("e " instead of "r ") 10 of 11 and 11; "silver lake" and it 10 of 12 and 11.
    kitty, lake = 2 * 4 / (6 + 7), 2 * 10 / (11 + 11)
    assert 2 * 10 / (12 + 11) < lake
    for threshold, left in (
        (kitty - 1e-6, ["golden bell", "old mill"]),
        (kitty + 1e-6, ["golden bell", "kittie's jig", "old mill"]),
        (lake - 1e-6, ["golden bell", "kittie's jig", "old mill"]),
        (lake + 1e-6, ["golden bell", "kittie's jig", "old mill", "silver lake"]),
    ):
        monkeypatch.setattr(candidates, "_TITLES_ALIKE", threshold)
        towers = Known()
        result = evaluation.evaluate({"towers": towers}, held_out, training, resamples=50)
        tunes, texts = towers.asked[0]
        assert sorted(texts) == left and result["titles"] == len(left)
        # Their tunes stay, as candidates.
        assert len(tunes) == result["tunes"] == 5
        section = result["sections"][AS_THEY_ARE]
        assert section["dropped"] == {
            IN_TRAINING: 1,
            NEAR_TITLES: 4 - len(left),
            "titles of nothing but rhythm words": 0,
        }
        assert section["title_to_tune"]["candidates"] == 5
        # The first has "Old Mill" in any case.
        assert section["tune_to_title"]["queries"] == (2 if len(left) < 4 else 4)
        near = f", {4 - len(left)} {NEAR_TITLES}" if len(left) < 4 else ""
        assert f"{len(left)} titles (left out: 1 {IN_TRAINING}{near})." in report.table(result)


def test_what_was_found_by_looking_is_left_out():
    """Pairs of five collections, with melodies that have nothing in common."""
    held_out = book(
        ("a/1", "A", "Because he was a Bonny Lad"),
        ("a/2", "B", "Rakes of Mallow"),
        ("a/3", "C", "Kitty Tyrrell"),
        ("a/4", "D", "Golden Bell"),
    )
    training = book(
        ("x/1", "E", "Because he was a Bonnie Lad - Reel"), ("x/2", "F", "The Rakes of Mallo")
    )
    towers = Known()
    evaluation.evaluate({"towers": towers}, held_out, training, resamples=50)
    assert towers.asked[0][1] == ["golden bell", "kitty tyrrell"]


def mixture(seed):
    """Held-out tunes and training, with versions, melodies and titles in common or nearly so."""
    rng = np.random.default_rng(seed)
    stems = ["silver lake", "golden bell", "third rail", "old mill", "green hill", "dark island"]
    words = "paddy kitty widow sailor weaver drover tinker miller piper cobbler".split()
    titles = [f"{word} {stem}" for word in words for stem in stems]

    def some(source, count):
        made = []
        for i in range(count):
            title = titles[rng.integers(60)]
            # As it is, with another kind of tune, or with a letter less or more.
            kind = rng.integers(4)
            title = [title, f"{title} reel", title.replace("e", "", 1), f"{title}s"][kind]
            made.append((f"{source}{i % 2}/{i}", "ABCDEFGH"[rng.integers(8)], title))
        tunes = book(*made)
        found = []
        for tune in tunes.tunes:
            notes = melody_of(f"melody {rng.integers(40)}")
            # Some of the notes are other ones.
            other = rng.random(12) < rng.choice([0, 0.2, 0.6])
            notes[other] = melody_of(tune.id)[other]
            key = int(rng.integers(60))
            keys = tuple(splits.hash_keys([f"melody:{key}"]).tolist())
            found.append(tune._replace(melody=tune.melody._replace(notes=notes), keys=keys))
        groups = np.unique([tune.keys[0] for tune in found], return_inverse=True)[1]
        return tunes._replace(tunes=found, groups=groups)

    return some("h", 60), some("t", 20)


@pytest.mark.parametrize("seed", range(3))
def test_counts_add_up_and_the_order_of_training_makes_no_difference(seed):
    held_out, training = mixture(seed)
    results = []
    rng = np.random.default_rng(seed)
    for order in (np.arange(20), np.arange(20)[::-1], rng.permutation(20)):
        mixed = training._replace(
            tunes=[training.tunes[at] for at in order], groups=training.groups[order]
        )
        towers = Hashed()
        result = evaluation.evaluate({"towers": towers}, held_out, mixed, resamples=50)
        results.append((towers.asked, json.dumps(result)))
    assert results[0] == results[1] == results[2]
    [(ids, texts), (_, bare)] = towers.asked
    dropped = result["dropped"]
    assert result["tunes"] == len(ids) and min(dropped.values()) > 0
    assert len(ids) + sum(dropped.values()) == 60
    # Versions are known by their keys.
    keys = {key for tune in training.tunes for key in tune.keys}
    assert dropped[VERSIONS] == sum(tune.keys[0] in keys for tune in held_out.tunes)
    # All titles of the tunes that stay are counted, by their folds.
    kept = [tune for tune in held_out.tunes if tune.id in ids]
    for section, change, asked in (
        (AS_THEY_ARE, str, texts),
        (WITHOUT_RHYTHM, lambda text: text.removesuffix(" reel"), bare),
    ):
        folds, known = (
            {parse(change(title.text))[0].fold for tune in some for title in tune.titles}
            for some in (kept, training.tunes)
        )
        found = result["sections"][section]
        assert found["titles"] == len(asked)
        assert found["titles"] + sum(found["dropped"].values()) == len(folds)
        assert found["dropped"][IN_TRAINING] == len(folds & known)
        assert found["dropped"][NEAR_TITLES] > 0
        assert not {parse(text)[0].fold for text in asked} & known


def test_without_rhythm_words():
    held_out = book(
        ("a/1", "A", "Paddy's Jig"),
        ("a/2", "B", "Paddy's Reel"),
        # Nothing that names a tune is left.
        ("a/3", "C", "The Irish Waltzes"),
        ("a/4", "D", "Kitty's Polka"),
        ("a/5", "E", "Old Bell"),
    )
    training = book(("x/1", "F", "The Kitty's Waltz"))
    towers = Known(
        {
            ("a/1", "old bell"): 2,
            ("a/1", "paddy's"): 1,
            ("a/2", "paddy's"): 1,
            ("a/5", "old bell"): -1,
            ("a/3", "old bell"): 1,
        }
    )
    result = evaluation.evaluate({"towers": towers}, held_out, training, resamples=50)
    assert [sorted(texts) for _, texts in towers.asked] == [
        # Not "kitty's polka", which is spelt nearly as the waltz.
        ["old bell", "paddy's jig", "paddy's reel", "the irish waltzes"],
        ["old bell", "paddy's"],
    ]
    section = result["sections"][WITHOUT_RHYTHM]
    assert section["titles"] == 2 and result["titles"] == 4
    assert result["sections"][AS_THEY_ARE]["dropped"] == {
        IN_TRAINING: 0,
        NEAR_TITLES: 1,
        "titles of nothing but rhythm words": 0,
    }
    assert section["dropped"] == {
        IN_TRAINING: 1,
        NEAR_TITLES: 0,
        "titles of nothing but rhythm words": 1,
    }
    # a/1: the second; a/2: the first; a/5: the second. Old bell: after a/1, a/3 and two of 0, the
    # fifth. Paddy's: the first.
    assert section["tune_to_title"]["queries"] == 3
    assert value(result, WITHOUT_RHYTHM, "tune_to_title") == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert value(result, WITHOUT_RHYTHM, "title_to_tune") == pytest.approx((1 + 1 / 5) / 2)
    # One source: it would be the same again.
    assert set(result["sections"]) == {AS_THEY_ARE, WITHOUT_RHYTHM}


@pytest.mark.parametrize(
    "held_out, training, why",
    [
        (book(("a/1", "A", "Old Bell")), NOTHING, "1 different tunes with 1 different titles"),
        (NOTHING, NOTHING, "0 different tunes with 0 different titles"),
        (book(("a/1", "A"), ("a/2", "B")), NOTHING, "0 different tunes with 0 "),
        # Two versions of one tune; two tunes of one title; two tunes of the same two titles.
        (book(("a/1", "A", "Old Bell"), ("a/2", "A", "Sea")), NOTHING, "1 different tunes with 2 "),
        (book(("a/1", "A", "Bell"), ("a/2", "B", "Bell")), NOTHING, "2 different tunes with 1 "),
        (book(("a/1", "A", "Bell", "Sea"), ("a/2", "B", "Bell", "Sea")), NOTHING, "2 different "),
        # The tunes of training themselves, or their titles.
        (HELD_OUT, HELD_OUT, "of 5 tunes read, training has 5, and 0 titles of the others"),
        (
            book(("a/1", "A", "Bell"), ("a/2", "B", "Sea")),
            book(("x/1", "C", "Bell"), ("x/2", "D", "The Sea")),
            "of 2 tunes read, training has 0, and 2 titles of the others, or nearly so",
        ),
        # Nearly so.
        (
            with_notes(book(("a/1", "A", "Bell"), ("a/2", "B", "Sea")), **{"1": "ABCDE"}),
            with_notes(book(("x/7", "C", "Hill")), **{"7": "ABCDE"}),
            "of 2 tunes read, training has 1, and 0 titles of the others, or nearly so",
        ),
        (
            book(("a/1", "A", "The Bell Reel"), ("a/2", "B", "Sea")),
            book(("x/1", "C", "Bell's Jig")),
            "of 2 tunes read, training has 0, and 1 titles of the others, or nearly so",
        ),
    ],
)
def test_too_few_to_rank(held_out, training, why):
    with pytest.raises(UserError, match=why) as raised:
        evaluation.evaluate({"towers": Known()}, held_out, training)
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match=why):
        evaluation.Monitor(held_out, training)
