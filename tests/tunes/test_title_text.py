"""Titles as text: which are the same, which name nothing, and what encoders read of them."""

import itertools
import random
import sys
import unicodedata

import pytest

from pipelines.tunes.title_text import (
    MAX_LENGTH,
    parse,
    query,
    rhythm_words,
    title_words,
    without_rhythm,
)


@pytest.mark.parametrize(
    "one, other",
    [
        ("The Maid's Fancy", "Maid's Fancy, The"),
        ("The Maid’s Fancy", "MAIDS FANCY."),
        ("Honey-Moon", "The Honey Moon"),
        ("Der Mond", "Mond"),
        ("Förgäten", "Forgaten"),
        ("Cock o' the North", "Cock of the North"),
        ("Johnny MacGill", "Johnny McGill."),
        ("LIMERICK LASS -- JIG", "The Limerick Lass Jig"),
        ("The Rakes (reel)", "The Rakes [title from index]"),
        ("Royal Hunt. LIT.003, The", "The Royal Hunt"),
        ("Torryburn Lasses,aka. LIT.001", "Torryburn Lasses"),
        ("12. Speed the Plow", "Speed the Plow"),
        ("Fisher's Hornpipe (2nd Setting)", "Fisher's Hornpipe"),
        ("Out With the Boys. 1st Setting.", "Out with the Boys"),
        ("The Hare in the Corn. No. 2.", "The Hare in the Corn"),
        ("Clean Pease Strae, v 2", "Clean Pease Strae #1"),
        ("A Favourite of Mine", "Favorite of Mine"),
        ("The Black & White", "Black and White"),
        ("Rat:hkeale Hunt", "Rathkeale Hunt"),
    ],
)
def test_titles_that_are_the_same(one, other):
    assert list(title_words(one)) == list(title_words(other)) != []


@pytest.mark.parametrize(
    "one, other",
    [
        ("The Maid's Fancy", "The Maid's Delight"),
        ("The 42nd Regiment", "The 43rd Regiment"),
        ("Galway Bay", "Galway Races"),
        ("Polska efter Byss-Kalle", "Polska efter Pelle Fors"),
        ("Bourrée d'Aurore Sand", "Bourrée de Sologne"),
        ("Kiss Me Now or Never", "Never"),
    ],
)
def test_titles_that_are_not(one, other):
    assert not set(title_words(one)) & set(title_words(other))


def test_several_titles_in_one():
    assert list(title_words("A Basket of Oysters, or Paddy the Weaver")) == [
        ("basket", "of", "oysters"),
        ("paddy", "weaver"),
    ]
    assert len(list(title_words("The Rakes of Mallow / The Galway Piper"))) == 2
    assert list(title_words("Ann Steps Out; or, Beau")) == [("ann", "steps", "out"), ("beau",)]


@pytest.mark.parametrize(
    "title",
    "Irish air|A Do.|Do.|Untitled|[untitled]|(untitled)|?|Reel|Jig|Air|Quick Step.|Minuet|March|"
    "Gan ainm|Waltz|A favourite Air.|Hornpipe. LIT.034|No Title II. LIT.099|Polska|Slängpolska|"
    "Vals i A|Reel in D|Jig No. 3|Hymn 12|for the Ger: Flute.|German Waltz|  |1|"
    "Menuett|Another Irish Jig|Schottis nr 4|Unknown|Trad.|Gigue in A|Sarabande|Låt|"
    "Brudpolska|Polonäs|Polkett nr 2|Svingedans|Polonäs i Gm|Brudmarsch|Bruremarsj|Rørospols|"
    "Polsk Dans|Pohlskdans|Svensk vals|Springlek|Reinlender|Hopsa|Sønderhoning|Bourrée|Branle|"
    "Scottish|Valse|Contredanse française|Ländler in C-Dur|Deutscher Tanz|Rheinländer|Galopp|"
    "Polkka|Valssi|Jenkka|Häämarssi|Masurkka|Oberek|Kujawiak|Mazurek|Walczyk|Polonez".split("|"),
)
def test_titles_that_name_no_tune(title):
    assert list(title_words(title)) == []


# Pieces that titles are made of, and that mean something to the rules.
PIECES = (
    """The|, The|A|An|or|, or |; |/| / |aka|a.k.a.|'s|s'|’|`|o'|O'|Mac|Mc|No. 2|#3|"""
    """(1st setting)|1st Setting|2nd set|v 2|12.|3) |LIT.048|[x]|(|)|{|}|%|--|-|:|.|,|&|reel|"""
    """JIG|Quick|Step|barn|dance|maid|Fancy|Ó|ó|ß|İ|ﬁ|ẞ|Å|\u0301|\ufdfa|\u2028|\x00|\n|\ud800|"""
    """🎻|梅|é|$|@|\"|1|2|z|x"""
).split("|")


def texts(written):
    return [title.text for title in parse(written)]


@pytest.mark.parametrize(
    "written, text",
    [
        ("The Maid's Fancy", "the maid's fancy"),
        ("Maid's Fancy, The", "the maid's fancy"),
        ("THE MAID\u2019S FANCY.", "the maid's fancy"),
        ("SALAMANCA -- REEL", "salamanca reel"),
        ("Honey-Moon -- Reel", "honey moon reel"),
        ("Fair Maid of Cavan., The", "the fair maid of cavan"),
        ("Hunt, The -- Reel", "the hunt reel"),
        ("RIVAL -- REEL., THE", "the rival reel"),
        ('"GOOD GIRL", THE', "the good girl"),
        ("Royal Hunt. LIT.003, The", "the royal hunt"),
        ("Speed the Plow. LIT.048", "speed the plow"),
        ("12. Speed the Plow", "speed the plow"),
        ("THE COOLIN. With Variations", "the coolin with variations"),
        ("The 14th. of October.", "the 14th of october"),
        ("CAMP-MEETING -- JIG No.2.", "camp meeting jig"),
        ("Camp Meeting No. 1, No. 2", "camp meeting"),
        ("The Hare in the Corn. No. 2., The", "the the hare in the corn"),
        ("Fisher's Hornpipe (2nd Setting)", "fisher's hornpipe"),
        ("Gladiat:or -- Reel", "gladiator reel"),
        ("Mr. D: Bridge's Reel.", "mr d bridge's reel"),
        ("Jack o'Neil's `Fancy'", "jack o'neil's fancy"),
        ("Cock o' the North", "cock of the north"),
        ("The Black & White", "the black and white"),
        ("Trip, To the Cottage", "trip to the cottage"),
        ("Cáit Ní Dhuibhir", "cait ni dhuibhir"),
        ("An Óige\u0301  Mhór \u2028 🎻", "an oige mhor"),
    ],
)
def test_what_encoders_read(written, text):
    assert texts(written) == [text]


def test_alternatives_are_titles_of_their_own():
    shown = "Mullindough,  or the Black Laddie. "
    assert parse(shown) == [
        ("Mullindough, or the Black Laddie.", "mullindough", "mulindough"),
        ("Mullindough, or the Black Laddie.", "the black laddie", "blackladie"),
    ]
    assert texts("Irish Air, or The Coolin") == ["the coolin"]
    assert texts("The Coolin; The Coolin / Coolin, The") == ["the coolin"]


@pytest.mark.parametrize(
    "written", ["", " \n", "🎻🎶", "Irish Air", "Untitled", "(untitled)", "\x00"]
)
def test_no_title(written):
    assert parse(written) == []


def test_a_title_that_is_too_long_is_none():
    assert texts("x" * MAX_LENGTH) == ["x" * MAX_LENGTH]
    assert parse("x" * (MAX_LENGTH + 1)) == parse("The Maid " * 5000) == []
    # One character that is eighteen without its ligatures.
    assert parse("\ufdfa" * MAX_LENGTH) == []


def test_shown_is_what_was_written_on_one_line():
    (title,) = parse("  The\tMaid\u2019s \x1b[2JFancy\n\ud800 ")
    assert title.shown == "The Maid\u2019s [2JFancy"


def test_folds_are_the_same_for_titles_that_are():
    for one, other in [
        ("The Maid's Fancy", "MAIDS FANCY"),
        ("Honey-Moon, The", "Honeymoon"),
        ("Larry Grogan", "Lary Grogan"),
        ("Higgins's Best", "Higgins' Best"),
    ]:
        assert parse(one)[0].fold == parse(other)[0].fold
    assert parse("The Maid's Fancy")[0].fold != parse("The Maid's Delight")[0].fold


def test_case_and_the_place_of_the_article_make_no_difference():
    rng = random.Random(1)
    words = "maid fancy o'neil's 14th óró lasses hunt reel mary's of the in and no".split()
    for _ in range(500):
        core = " ".join(rng.choices(words, k=rng.randint(1, 5)))
        article = rng.choice(["The", "A", "An", "La", "Der"])
        first = texts(f"{article} {core}")
        assert texts(f"{core}, {article}") == texts(f"{core}., {article} ") == first
        assert texts(f"{article} {core}".upper()) == texts(f"{article} {core.title()}.") == first


def test_any_text_is_parsed_and_what_is_parsed_stays():
    rng = random.Random(2)
    seen = 0
    for number in range(6000):
        if number % 2:
            written = "".join(
                rng.choice(PIECES) + rng.choice(["", " "]) for _ in range(rng.randint(1, 12))
            )
        else:
            size = rng.choice([128, 0x250, 0x10000, sys.maxunicode + 1])
            written = "".join(chr(rng.randrange(size)) for _ in range(rng.randint(1, 30)))
        for title in parse(written):
            seen += 1
            assert [(t.text, t.fold) for t in parse(title.text)] == [(title.text, title.fold)]
            assert title.text == " ".join(title.text.split()) and title.text.isprintable()
            assert title.shown == " ".join(title.shown.split()) and "\0" not in title.shown
            assert 0 < len(title.text) <= MAX_LENGTH and title.fold
            (title.text + title.shown).encode("utf-8")
            rest = without_rhythm(title.text)
            assert without_rhythm(rest) == rest and set(rest.split()) <= set(title.text.split())
    assert seen > 2000


@pytest.mark.slow
def test_every_character_is_parsed_and_stays():
    # All that Unicode folds lies in these ranges.
    folded = (range(0x3400), range(0xA000, 0xB000), range(0xF900, 0x12000), range(0x1D000, 0x1F200))
    for code in itertools.chain(*folded):
        for text in texts(f"maid{chr(code)}s"):
            assert texts(text) == [text]
            assert not any(map(unicodedata.combining, text))


def test_long_and_odd_input_takes_no_time():
    # Each would take minutes with an expression that tries all ways to match.
    for written in [",the" * 50, "a," * 100, "-" * 200, ", no 1" * 33, "(" * 200, "'" * 200]:
        parse(written)


@pytest.mark.parametrize(
    "text, rest",
    [
        ("salamanca reel", "salamanca"),
        ("the reel of tulloch", "the of tulloch"),
        ("the frost is all over", "the frost is all over"),
        ("jigs and reels", ""),
        ("quick reel step", ""),
        ("the marches of the waltzes", "the of the"),
        ("jig's up", "up"),
        ("lord cornwallis jigg", "lord cornwallis"),
        ("quick step 42d regt", "42d regt"),
        ("the barn dance", ""),
        ("barn door", "barn door"),
        ("miss gordon's strathspey", "miss gordon's"),
        ("reelfoot lake", "reelfoot lake"),
        ("the", ""),
        ("", ""),
    ],
)
def test_without_the_words_of_rhythm(text, rest):
    assert without_rhythm(text) == rest


@pytest.mark.parametrize(
    "text, words",
    [
        ("salamanca reel", "reel"),
        ("the reel of tulloch", "reel"),
        ("jigs and reels", "jigs reels"),
        ("the barn dance", "barn dance"),
        ("quick reel step", "quick reel step"),
        ("barn door barn dance", "barn dance"),
        ("step quick step", "quick step"),
        ("miss gordon's strathspey", "strathspey"),
        ("the frost is all over", ""),
        ("the", ""),
        ("", ""),
    ],
)
def test_the_words_of_rhythm(text, words):
    assert rhythm_words(text) == words


def test_every_word_is_of_the_rhythm_or_not():
    rng = random.Random(4)
    words = "quick step barn dance reel jigs the of maid's fancy slip schottis che a".split()
    for _ in range(3000):
        text = " ".join(rng.choices(words, k=rng.randint(0, 7)))
        rhythm, rest = rhythm_words(text).split(), without_rhythm(text).split()
        both = sorted(rhythm + rest)
        if rest:
            assert both == sorted(text.split())
        else:
            # Articles and the like that are left alone are dropped.
            left = list(text.split())
            for word in rhythm:
                left.remove(word)
            assert set(left) <= {"the", "of", "a"}


@pytest.mark.parametrize(
    "written, words",
    [
        ("Lively reel about a fiddle", "lively reel about a fiddle"),
        ("Ó NÉILL’S   Cáit 🎻", "o'neill's cait"),
        ("Maid's Fancy, The", "the maid's fancy"),
        # What names no tune may be searched for.
        ("Untitled", "untitled"),
        ("a reel", "a reel"),
        ("Mullindough, or the Black Laddie", "mullindough the black laddie"),
        ("-sad waltz", "sad waltz"),
        ("🎻 / reel", "reel"),
        ("reel; 🎻 ; jig", "reel jig"),
        ("🎻 / 🎶", ""),
        ("\ud800\x00", ""),
        ("", ""),
        ("x" * MAX_LENGTH, "x" * MAX_LENGTH),
        ("x" * (MAX_LENGTH + 1), ""),
        (", no 1" * 5000, ""),
    ],
)
def test_what_is_searched_for(written, words):
    assert query(written) == words


def test_any_text_is_a_query_that_stays():
    rng = random.Random(5)
    for _ in range(3000):
        written = "".join(
            rng.choice(PIECES) + rng.choice(["", " "]) for _ in range(rng.randint(1, 12))
        )
        words = query(written)
        assert words == " ".join(words.split()) and words.isprintable()
        for title in parse(written):
            assert title.text in words


def test_an_irish_patronymic_is_the_english_one():
    folds = [
        parse(t)[0].fold for t in ("Ó Néill's March", "O'Neill's March", "O\u0301 Néill's March")
    ]
    assert folds == ["oneilsmarch"] * 3
    # Without the accent it is "of", as in "Jack o the Green".
    assert parse("Jack o the Green")[0].fold == parse("Jack of Green")[0].fold
