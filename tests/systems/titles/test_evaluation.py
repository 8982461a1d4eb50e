"""Which candidates are ranked for which queries, by hand; scorers of which the result is known."""

import collections
import json
import math
import zlib

import numpy as np
import pytest

from pipelines.representations.scale_degrees import Melody
from pipelines.runtime.app import UserError
from pipelines.systems.titles import evaluation
from pipelines.systems.titles.tunes import Tune, Tunes
from pipelines.tunes import splits
from pipelines.tunes.title_text import parse

pytestmark = pytest.mark.keras3

AS_THEY_ARE, WITHOUT_RHYTHM = "titles_as_they_are", "without_rhythm_words"
SETTINGS = "settings of tunes in training"
NEAR_MELODIES = "tunes with nearly the melody of one in training"
IN_TRAINING, NEAR_TITLES = "titles in training", "titles spelt nearly as one in training"


def melody_of(name):
    """Notes that follow from a name; those of other names have next to nothing in common."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.integers(1, (50, 50, 15, 73), (12, 4)).astype(np.uint8)


def with_notes(tunes, **notes):
    """Other notes for some tunes by their names' ends, each letter a semitone of one length."""
    found = []
    for tune in tunes.tunes:
        letters = notes.get(tune.id.partition("/")[2])
        if letters:
            columns = np.array([(25 + ord(x) - ord("A"), 0, 6, 1) for x in letters], np.uint8)
            tune = tune._replace(melody=tune.melody._replace(notes=columns))
        found.append(tune)
    return tunes._replace(tunes=found)


def book(*tunes):
    """Tunes of (name, group, title, ...)."""
    made = []
    for name, group, *titles in tunes:
        found = tuple(parsed for title in titles for parsed in parse(title))
        assert len(found) == len(titles)
        keys = tuple(splits.hash_keys([f"melody:{group}"]).tolist())
        melody = Melody(melody_of(name), 2, 1, 0)
        made.append(Tune(name, found, melody, None, keys, "", "", "", ""))
    groups = np.array([["ABCDEFGH".find(group)] for _, group, *_ in tunes], int).reshape(-1)
    return Tunes(made, groups, collections.Counter(), collections.Counter())


class Known:
    """Scores of pairs of a tune's name and a text; 0 for others. Keeps what was asked."""

    def __init__(self, scores=(), other=0.0):
        self._known, self._other = dict(scores), other
        self.asked = []

    def scores(self, tunes, texts):
        self.asked.append(([tune.id for tune in tunes], list(texts)))
        return np.array(
            [[self._known.get((tune.id, text), self._other) for text in texts] for tune in tunes]
        )


class Perfect:
    """Knows the titles, with or without rhythm words, and the settings do not."""

    def __init__(self, change=lambda text: text):
        self._change = change

    def scores(self, tunes, texts):
        own = [{self._change(title.text) for title in tune.titles} for tune in tunes]
        return np.array([[float(text in titles) for text in texts] for titles in own])


class Noise:
    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)

    def scores(self, tunes, texts):
        return self._rng.random((len(tunes), len(texts)))


NOTHING = book()
HELD_OUT = book(
    ("one/1", "A", "Silver Lake"),
    ("one/2", "B", "Golden Bell", "The Old Bell"),
    # Another setting of the first, under another title.
    ("two/1", "A", "Swan's Lake"),
    # Another tune of the same title, spelt in another way.
    ("two/2", "C", "The Silverlake"),
    # No title: a candidate only.
    ("two/3", "D"),
)


def value(result, section, direction, name="towers", what="MRR"):
    return result["sections"][section][direction]["scorers"][name][what]["value"]


def test_right_wrong_and_left_out_by_hand():
    towers = Known(
        {
            ("one/1", "swan's lake"): 9,  # of its other setting: not ranked
            ("one/1", "golden bell"): 8,
            ("one/1", "silver lake"): 7,  # the second
            ("one/2", "silver lake"): 9,
            ("one/2", "swan's lake"): 8,
            ("one/2", "golden bell"): 3,  # the best of its two, the third
            ("one/2", "old bell"): 2,
            ("two/1", "silver lake"): 9,  # not ranked
            ("two/1", "swan's lake"): 5,  # the first
            ("two/2", "golden bell"): 4,
            ("two/2", "the old bell"): 3,
            ("two/2", "swan's lake"): 2,
            ("two/2", "silver lake"): 1,  # the fourth
            ("two/3", "silver lake"): 10,
            ("two/3", "golden bell"): 4,
        },
        other=-1,
    )
    result = evaluation.evaluate({"towers": towers}, HELD_OUT, NOTHING, resamples=50)
    # Four titles; "silver lake" is the spelling that stands for two.
    texts = ["golden bell", "the old bell", "silver lake", "swan's lake"]
    tunes = ["one/1", "one/2", "two/1", "two/2", "two/3"]
    assert [(ids, sorted(asked)) for ids, asked in towers.asked] == [(tunes, sorted(texts))] * 2
    assert (result["tunes"], result["titles"], result["sources"]) == (5, 4, 2)
    assert list(result["sections"]) == [
        AS_THEY_ARE,
        WITHOUT_RHYTHM,
        "same_source",
        "same_source_without_rhythm_words",
    ]
    section = result["sections"][AS_THEY_ARE]
    first, second = section["tune_to_title"], section["title_to_tune"]
    # Ranks 2, 3, 1, 4.
    assert (first["queries"], first["candidates"]) == (4, 4)
    assert first["ranked"] == (3 + 4 + 3 + 4) / 4
    assert value(result, AS_THEY_ARE, "tune_to_title") == pytest.approx(
        (1 / 2 + 1 / 3 + 1 + 1 / 4) / 4
    )
    assert value(result, AS_THEY_ARE, "tune_to_title", what="R@1") == 1 / 4
    assert value(result, AS_THEY_ARE, "tune_to_title", what="median rank") == 2.5
    # Golden bell: of one/1 8, one/2 3 (right), two/1 -1, two/2 4, two/3 4: the fourth.
    # The old bell: of two/2 3, the others -1, one/2 (right) among them: see below.
    # Silver lake: of one/1 7 (right), two/1 9 (not ranked), one/2 9, two/3 10: the third.
    # Swan's lake: of two/1 5 (right), one/1 9 (not ranked), one/2 8, two/2 2: the second.
    assert (second["queries"], second["candidates"]) == (4, 5)
    assert second["ranked"] == (5 + 5 + 4 + 4) / 4
    # The right one is after two/2 and in any order with three others: the second to the fifth.
    known = 1 / 4 + 1 / 3 + 1 / 2
    found = 4 * value(result, AS_THEY_ARE, "title_to_tune") - known
    assert min(abs(found - 1 / rank) for rank in (2, 3, 4, 5)) < 1e-9
    json.dumps(result, allow_nan=False)


def test_among_those_of_the_same_source_by_hand():
    towers = Known(
        {
            ("one/1", "swan's lake"): 9,
            ("one/1", "golden bell"): 8,
            ("one/1", "silver lake"): 7,
            ("one/2", "silver lake"): 9,
            ("one/2", "golden bell"): 3,
            ("two/2", "golden bell"): 4,
            ("two/2", "silver lake"): 1,
            ("two/2", "swan's lake"): 2,
            ("two/3", "silver lake"): 10,
            ("two/3", "swan's lake"): 1,
        },
        other=-1,
    )
    result = evaluation.evaluate({"towers": towers}, HELD_OUT, NOTHING, resamples=50)
    both = result["sections"]["same_source"]
    # The bells are of the first source, the swan's lake is of the second, silver lake is of both.
    # one/1: of the bells and silver lake: the second. one/2: the second. two/1: silver lake, of
    # another setting, is not ranked, so nothing is wrong: no query. two/2: of silver and swan's
    # lake: the second.
    assert both["tune_to_title"]["queries"] == 3
    assert both["tune_to_title"]["dropped"] == {"queries with nothing wrong to rank": 1}
    assert both["tune_to_title"]["ranked"] == (3 + 3 + 2) / 3
    assert value(result, "same_source", "tune_to_title") == 1 / 2
    # Golden bell: of one/1 8 and one/2 3: the second. The old bell: of both -1. Silver lake: of
    # all but two/1, a setting of one/1; right are one/1 (7) and two/2 (1), before are one/2 and
    # two/3: the third. Swan's lake: of two/1 (-1, right), two/2 2 and two/3 1: the third.
    second = both["title_to_tune"]
    assert second["queries"] == 4
    assert second["ranked"] == (2 + 2 + 4 + 3) / 4
    found = 4 * value(result, "same_source", "title_to_tune") - (1 / 2 + 1 / 3 + 1 / 3)
    assert min(abs(found - 1), abs(found - 1 / 2)) < 1e-9


def test_what_training_has_is_left_out():
    training = book(
        # Settings of B: the tune goes with both of its titles.
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
    assert result["dropped"] == {SETTINGS: 1, NEAR_MELODIES: 0}
    dropped = result["sections"][AS_THEY_ARE]["dropped"]
    assert (dropped[IN_TRAINING], dropped[NEAR_TITLES]) == (1, 0)
    assert result["sections"][AS_THEY_ARE]["tune_to_title"]["queries"] == 3
    assert result["sections"][AS_THEY_ARE]["title_to_tune"]["candidates"] == 5


def test_nearly_the_melody_of_one_in_training_by_hand(monkeypatch):
    held_out = book(
        ("a/half", "A", "Silver Lake"),
        ("a/one", "B", "Golden Bell"),
        # Another setting of it: left out with it.
        ("a/none", "B", "Third Rail"),
        # A setting in training too: left out for that.
        ("a/setting", "D", "Old Mill"),
        ("a/same", "E"),
        ("a/other", "F", "Green Hill"),
        ("a/last", "H", "Blue Boat"),
    )
    notes = {"half": "ABCA", "one": "CABD", "none": "CAC", "setting": "ABCD", "same": "EFGH"}
    held_out = with_notes(held_out, **notes)
    training = with_notes(book(("x/p", "D", "Hat"), ("x/q", "G", "Dog")), p="ABCD", q="EFGH")
    # All n-grams of training are in one tune of two, six in each: their IDF is log(3/2) + 1. Of the
    # six of "half" three are known, all of them in the first; of "one", one; of "none", none. The
    # others are in no tune of two: log(3/1) + 1.
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
        monkeypatch.setattr(evaluation, "_MELODIES_ALIKE", threshold)
        towers = Known()
        result = evaluation.evaluate({"towers": towers}, held_out, training, resamples=50)
        assert towers.asked[0][0] == [f"a/{name}" for name in left]
        assert result["dropped"] == {SETTINGS: 1, NEAR_MELODIES: 6 - len(left)}
        # Titles of tunes that are left out are none: not left out, and no candidates.
        assert result["titles"] == len(left) and len(towers.asked[0][1]) == len(left)
        assert sum(result["sections"][AS_THEY_ARE]["dropped"].values()) == 0
        line = evaluation.table(result).split("\n")[0]
        assert f"1 {SETTINGS}, {6 - len(left)} {NEAR_MELODIES})" in line


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
    # Of "kitty", in common with "kittie", are " k", "ki", "it" and "tt" of 6 and 7 pairs; of
    # "silverlaker" (" s", "si", "il", "lv", "ve", "er", "rl", "la", "ak", "ke", "r ") and
    # "silverlake" ("e " instead of "r ") 10 of 11 and 11; of "silver lake" and it 10 of 12 and 11.
    kitty, lake = 2 * 4 / (6 + 7), 2 * 10 / (11 + 11)
    assert 2 * 10 / (12 + 11) < lake
    for threshold, left in (
        (kitty - 1e-6, ["golden bell", "old mill"]),
        (kitty + 1e-6, ["golden bell", "kittie's jig", "old mill"]),
        (lake - 1e-6, ["golden bell", "kittie's jig", "old mill"]),
        (lake + 1e-6, ["golden bell", "kittie's jig", "old mill", "silver lake"]),
    ):
        monkeypatch.setattr(evaluation, "_TITLES_ALIKE", threshold)
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
        assert f"{len(left)} titles (left out: 1 {IN_TRAINING}{near})." in evaluation.table(result)


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
    """Held-out tunes and training, with settings, melodies and titles in common or nearly so."""
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
    # Settings by their keys.
    keys = {key for tune in training.tunes for key in tune.keys}
    assert dropped[SETTINGS] == sum(tune.keys[0] in keys for tune in held_out.tunes)
    # Of the tunes that stay all titles are counted, by their folds.
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


def test_no_section_where_nothing_is_left():
    held_out = book(("a/1", "A", "Irish Waltzes"), ("a/2", "B", "Old Bell"))
    towers = Known()
    result = evaluation.evaluate({"towers": towers}, held_out, NOTHING, resamples=50)
    assert list(result["sections"]) == [AS_THEY_ARE] and len(towers.asked) == 1
    assert "Without" not in evaluation.table(result)


def many(count, settings=1):
    letters = [f"{a}{b}" for a in "bcdfghklmnp" for b in "aeiou"]
    names = [f"{a}{b} {c} reel" for a in letters for b in letters[:3] for c in ("lake", "hill")]
    tunes = book(*[(f"{'xy'[i % 2]}/{i}", "A", names[i // settings]) for i in range(count)])
    # More groups than letters.
    groups = np.arange(count) // settings
    found = [
        tune._replace(keys=tuple(splits.hash_keys([f"melody:{group}"]).tolist()))
        for tune, group in zip(tunes.tunes, groups)
    ]
    return tunes._replace(tunes=found, groups=groups)


def test_a_perfect_scorer_and_chance():
    held_out = many(150)
    scorers = {
        "towers": Perfect(),
        "noise": Noise(0),
        "constant": Known(),
    }
    result = evaluation.evaluate(scorers, held_out, NOTHING, resamples=300)
    chance = sum(1 / rank for rank in range(1, 151)) / 150
    # Of 1/rank, about 1/sqrt(150 * 150 / (pi^2 / 6)), and twice that for 95%.
    spread = 3 * math.sqrt(math.pi**2 / 6) / 150
    for direction in evaluation.DIRECTIONS:
        measured = result["sections"][AS_THEY_ARE][direction]
        assert measured["scorers"]["towers"]["MRR"] == {"value": 1, "low": 1, "high": 1}
        assert value(result, AS_THEY_ARE, direction, what="median rank") == 1
        for name in ("noise", "constant"):
            assert abs(value(result, AS_THEY_ARE, direction, name) - chance) < spread
            less = measured["differences"][f"towers - {name}"]
            assert less["value"] == pytest.approx(1 - value(result, AS_THEY_ARE, direction, name))
            assert 0.9 < less["low"] <= less["value"] <= less["high"] < 1
        assert set(measured["differences"]) == {"towers - noise", "towers - constant"}
        # Without "reel" this scorer knows none of the titles: chance again.
        assert abs(value(result, WITHOUT_RHYTHM, direction) - chance) < spread
        # Among the 75 of the same source.
        near = result["sections"]["same_source"][direction]
        assert near["ranked"] == 75
        chance_near = sum(1 / rank for rank in range(1, 76)) / 75
        assert abs(value(result, "same_source", direction, "noise") - chance_near) < 2 * spread
    told = Perfect(lambda text: text.removesuffix(" reel"))
    result = evaluation.evaluate({"towers": told}, held_out, NOTHING, resamples=50)
    assert value(result, WITHOUT_RHYTHM, "title_to_tune") == 1


class Hashed:
    """Scores that follow from the tune and the text alone. Keeps what was asked."""

    def __init__(self):
        self.asked = []

    def scores(self, tunes, texts):
        self.asked.append(([tune.id for tune in tunes], list(texts)))
        return np.array(
            [[zlib.crc32(f"{tune.id} {text}".encode()) for text in texts] for tune in tunes]
        )


def test_the_order_of_tunes_makes_no_difference():
    held_out = many(40, settings=2)
    order = np.random.default_rng(0).permutation(40)
    mixed = held_out._replace(
        tunes=[held_out.tunes[i] for i in order], groups=1000 - held_out.groups[order]
    )
    training = book(("z/1", "A"))
    training = training._replace(tunes=[training.tunes[0]._replace(keys=(1,))])
    first, second = (
        evaluation.evaluate({"towers": Hashed()}, tunes, training, resamples=50)
        for tunes in (held_out, mixed)
    )
    for section in first["sections"]:
        for direction in evaluation.DIRECTIONS:
            for what in ("MRR", "R@5", "median rank"):
                assert value(first, section, direction, what=what) == pytest.approx(
                    value(second, section, direction, what=what)
                )


def test_settings_make_one_draw_of_the_bootstrap():
    # All settings of a tune are alike right or wrong, so 40 queries are as good as 10.
    class Half(Perfect):
        def scores(self, tunes, texts):
            scores = super().scores(tunes, texts)
            return scores * np.array([[1.0 if int(t.id[2:]) // 4 % 2 else -1.0] for t in tunes])

    wide, narrow = (
        evaluation.evaluate({"towers": Half()}, tunes, NOTHING)["sections"][AS_THEY_ARE][
            "tune_to_title"
        ]["scorers"]["towers"]["R@1"]
        for tunes in (
            many(40, settings=4),
            many(40, settings=4)._replace(groups=np.arange(40)),
        )
    )
    assert wide["value"] == narrow["value"] == 0.5
    # The standard deviations are 1/2 / sqrt(10) and 1/2 / sqrt(40).
    ratio = (wide["high"] - wide["low"]) / (narrow["high"] - narrow["low"])
    assert 1.6 < ratio < 2.4


def test_all_scorers_draw_alike():
    held_out = many(60)
    scorers = {"towers": Known(), "other": Known()}
    result = evaluation.evaluate(scorers, held_out, NOTHING, resamples=50)
    for section in result["sections"].values():
        for direction in evaluation.DIRECTIONS:
            found = section[direction]
            assert found["scorers"]["towers"] == found["scorers"]["other"]
            assert found["differences"] == {"towers - other": {"value": 0, "low": 0, "high": 0}}
    again = evaluation.evaluate(scorers, held_out, NOTHING, resamples=50)
    assert again == result
    assert evaluation.evaluate(scorers, held_out, NOTHING, seed=1, resamples=50) != result


@pytest.mark.parametrize(
    "held_out, training, why",
    [
        (book(("a/1", "A", "Old Bell")), NOTHING, "1 different tunes with 1 different titles"),
        (NOTHING, NOTHING, "0 different tunes with 0 different titles"),
        (book(("a/1", "A"), ("a/2", "B")), NOTHING, "0 different tunes with 0 "),
        # Two settings of one tune; two tunes of one title; of the same two titles.
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


def test_scores_that_are_none():
    class Wrong:
        def __init__(self, scores):
            self._scores = scores

        def scores(self, tunes, texts):
            return np.full((len(tunes), len(texts)), self._scores)[: self._scores == 1 or None]

    for broken in (Wrong(np.nan), Wrong(np.inf)):
        with pytest.raises(ValueError, match="towers gave scores of shape"):
            evaluation.evaluate({"towers": broken}, HELD_OUT, NOTHING, resamples=50)
    with pytest.raises(ValueError, match=r"finite \[5, 4\] are needed"):
        evaluation.evaluate({"towers": Wrong(1)}, HELD_OUT, NOTHING, resamples=50)
    with pytest.raises(ValueError, match="no scorer"):
        evaluation.evaluate({}, HELD_OUT, NOTHING)


def test_the_monitor_measures_the_same():
    held_out = many(50, settings=2)
    result = evaluation.evaluate({"towers": Hashed()}, held_out, NOTHING, resamples=50)
    measured = evaluation.Monitor(held_out, NOTHING)(Hashed())
    assert len(measured) == 6
    for direction in evaluation.DIRECTIONS:
        for what in ("MRR", "R@10", "median rank"):
            assert measured[f"{direction}/{what}"] == pytest.approx(
                value(result, AS_THEY_ARE, direction, what=what)
            )


def test_the_table():
    held_out = many(30)
    scorers = {"towers": Perfect(), "random": Noise(0)}
    result = evaluation.evaluate(scorers, held_out, NOTHING, resamples=50)
    lines = evaluation.table(result).split("\n")
    assert lines[0] == "30 tunes of 2 sources, 30 titles."
    at = lines.index("Tune to title: 30 queries, 30.0 of 30 candidates ranked on average.")
    assert lines[at + 2].startswith(
        "| | MRR | R@1 | R@5 | R@10 | R@100 | median rank | MRR of towers"
    )
    assert lines[at + 4].startswith("| towers | 1.000 (1.000 to 1.000) | 1.000 (1.000 to 1.000) |")
    less = result["sections"][AS_THEY_ARE]["tune_to_title"]["differences"]["towers - random"]
    cell = f"{less['value']:.3f} ({less['low']:.3f} to {less['high']:.3f})"
    assert lines[at + 5].startswith("| random | ") and lines[at + 5].endswith(f"| {cell} |")
    # Four sections of two tables; in each all rows have as many cells.
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 8 * 4 and {row.count("|") for row in rows} == {9}
    # From JSON and back it is the same.
    assert evaluation.table(json.loads(json.dumps(result))) == "\n".join(lines)
