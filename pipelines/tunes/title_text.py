"""Titles as text: cleaned, folded, and told from remarks that name no tune.

`pipelines.tunes.identity` recognises versions of a tune by them; text encoders read what `parse`
gives.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# In characters: a longer text is no title. The longest of 5,397 in five collections has 53.
MAX_LENGTH = 200

# Only the first characters of a text are searched: patterns take long on long runs of commas or
# spaces.
_LOOKED_AT = 1000

# Articles and the like: some write them, before a title or after it, and some do not.
_DROPPED = frozenset(
    "the a an o and n y der die das den dem ein eine und le la les l un une du des et il lo gli "
    "el los las det en ett och".split()
)
# Words for kinds of tunes. A title may have one at its end or not.
KINDS = frozenset(
    """
    air allemanda allemande anglais anglaise anglas angloise aria ballad barndance bourree branle
    bransle brudemarsj brudlat brudmarsch brudpolska bruremarsj carol chodzony choral clog
    contradance contradans contratanz contredanse cotillion cotillon cottillion cottillon cottilon
    courante csardas dance dans deutscher double dreher ecossaise engelska fandango fling galliard
    gallop gallopade galop galopade galopp galoppad galoppade gangar ganglat gavott gavotte gigue
    haamarssi haavalssi halling hambo hamburska highland hochzeitsmarsch hop hoppvals hopsa hopser
    hora hornpipe humppa hymn jenkka jig jigs jota kadrilj kadrille katrilli kolo kontertanz kontra
    kontradans kontratanz krakowiak kujawiak lament lancashire landler langdans langpolska laride
    lat lied march marche marsch marsj marssi masurka masurkka mazur mazurek mazurka melodie melody
    menuet menuett menuetti minuet minuett minuetto muineira musette oberek passepied pavane
    planxty plinn pohlsk pohlskdans polka polkett polkette polkka polonaise polonas polonees
    polonez pols polsk polska polskan polskdans polskor psalm quadrille quickstep rant redowa reel
    reels reinlender reinlænder rheinlaender rheinlander ridee rigadoon rigaudon rigodon rondeau
    rondo rørospols saltarello sang sarabande schottis schottisch schottische schottischer
    schottish senpolska set single sirba skanklat skottis slangpolska slatt slide slip slow snoa
    sonata song sottiisi springar springdans springlat springleik springlek springpols steklat
    storpolska strathspey strathsy strathy strthspey svingdans svingedans sønderhoning tanz
    tarantella tune vallat vals valse valsen valser valssi varsovienne verbunk visa vise walc
    walczyk waltz waltze walz walzer wiwat zwiefacher
    """.split()
)
# A title that has no other words than these names no tune.
_GENERAL = KINDS | frozenset(
    """
    adagio af ainm allegro american andante anon anonymous another aus av bagpipe country danish
    dansk deutsche ditto do dorian dur dutch duur duuri efter english favorite fiddle fife finnish
    finsk first flat flute for fourth fra fran francaise fransk french from gan ger german given
    good grand great guitar harp hibernian hungarian i ii iii in irish italian iv ix josa kand
    known largo last little maj majeur major min mineur minor mixolydian moll molli na name named
    nameless namn new nn no none norsk norwegian not nr num number ohne okand old op opus or other
    part piano pipe pipes polish polnische prelude presto pretty quick russian same sans
    schwedische scotch scots scottish second session sett setting settings sharp spanish step
    svensk swedish tbd test third til till titel title titled titles titre to trad traditional
    turkish two tysk unbekannt unbenannt unknown unnamed untitled ur utan v var variation
    variations version versions vi vii viii violin von welch welsh whistle with without x xi xii
    """.split()
)
_KEY_NAMES = frozenset(letter + mode for letter in "abcdefgh" for mode in ("", "m"))
_SPELLINGS = {
    "captain": "capt",
    "doctor": "dr",
    "favourite": "favorite",
    "jigg": "jig",
    "mister": "mr",
    "mistress": "mrs",
    "o": "of",
    "saint": "st",
}
_MAC = re.compile(r"^mac(?=[a-z]{3})")
# A collection's own number, as in "Speed the Plow. LIT.048", and a number in front of a title.
_CATALOGUE = re.compile(r"\b[a-z]{2,6}\d{0,2}\.\s?\d{2,4}[a-z]?\b\.?")
_LEADING_NUMBER = re.compile(r"^\W*\d+[a-z]?\s?[.):]\s*(?=\S)")
_ASIDE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|%.*")
# Titles count the versions of a tune.
_SETTING = re.compile(
    r"[,;:\s-]+(?:(?:no|nr|num|number|version|vers|ver|setting|set|variant|v)\b[.:\s]*\d+"
    r"|#\s*\d+|\d+(?:st|nd|rd|th)\s+(?:setting|set|version))\W*$"
)
# Where an alternative title begins; "or" alone is part of many titles.
_OTHER_TITLE = re.compile(
    r"[,;.]\s*or,?\s+|\s*;\s*|\s+[/=]\s*|\s*[/=]\s+|[\s,;]*\b(?:aka|a\.k\.a\.?|alias)(?!\w)"
)
# Signs inside words, as in "Jack o'Neil's" and "Rat:hkeale".
_INSIDE = re.compile(r"(?<=\w)[:'’‘`´](?=\w)|['’‘`´]")
# "Higgins's" is "Higgins'".
_SECOND_S = re.compile(r"(?<=s['’‘`´])s\b")
# "Ó Néill" is "O'Neill".
_PATRONYMIC = re.compile(r"\bó\s+(?=[^\W\d_])")
_OF = re.compile(r"\bo['’‘`´]\s+")
_WORDS = re.compile(r"[^\W_]+")
# "Teetotaller" is "Teetotaler".
_DOUBLED, _ONCE = re.compile(r"([a-z])\1"), r"\1"
# An article that is written after a title, as in "Maid's Fancy, The (Reel)".
_ARTICLE_LAST = re.compile(
    r"^(?=.*\w)(.*),[\s\"]*(the|an?|der|die|das|den|le|la|les|un|une|il|el|los|las|na|y)"
    r"(?=\W*$|\s+-)"
)
_APOSTROPHES = re.compile("[’‘`´]")
_COLON_INSIDE = re.compile(r"(?<=\w):(?=\w)")
# Words for text encoders: "don't" and "o'neil's" are one word.
_TEXT_WORDS = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_POSSESSIVE = re.compile(r"'s?$")


class Title(NamedTuple):
    """One title of a tune.

    Attributes:
      shown: as it was written, with all its alternatives, but without control characters and with
        single spaces.
      text: what text encoders read: words in lower case with single spaces, accents folded, the
        article first. Catalogue numbers, numbers in front, remarks in brackets and punctuation
        are removed, but for apostrophes inside words.
      fold: equal for titles that are the same but for spaces, articles and doubled letters.
    """

    shown: str
    text: str
    fold: str


def parse(written: str) -> list[Title]:
    """Reads the titles of a `T:` line or of a line of a user's list.

    `parse(title.text)` gives the same text and fold again.

    Args:
      written: any text, such as "Maid's Fancy, The -- Reel" or "Mullindough, or the Black Laddie".

    Returns:
      The alternatives in their order, each text once; an empty list where the title names no tune
      ("Irish Air", "Untitled", nothing but emoji) or is longer than MAX_LENGTH.
    """
    shown = one_line(written)
    if len(shown) > MAX_LENGTH:
        return []
    found = {}
    for text in _texts(shown):
        # Folding accents may make a text longer: it splits some characters into several.
        if len(text) <= MAX_LENGTH:
            for words in title_words(text):
                found.setdefault(text, Title(shown, text, fold(words)))
    return list(found.values())


def query(written: str) -> str:
    """Turns a text into the form of `Title.text`, whether it names a tune or not.

    Returns:
      The words of all its alternatives; "" for emoji alone, and for more than MAX_LENGTH
      characters.
    """
    shown = one_line(written)
    if len(shown) > MAX_LENGTH:
        return ""
    # An alternative may have no words.
    return " ".join(" ".join(_texts(shown)).split())


def one_line(written: str) -> str:
    """A text without control characters, with single spaces."""
    return " ".join(_CONTROLS.sub(" ", written).split())


def without_rhythm(text: str) -> str:
    """Removes from the text of a title the words that say what kind of tune it is.

    Args:
      text: of a `Title`.

    Returns:
      The other words; "" where they are articles alone.
    """
    kept = [word for word, kind in _told_apart(text.split()) if not kind]
    return "" if all(word in _DROPPED for word in kept) else " ".join(kept)


def significant(text: str) -> list[str]:
    """The words of a `Title.text` without articles and possessives."""
    words = (_POSSESSIVE.sub("", word).replace("'", "") for word in text.split())
    return [word for word in words if word and word not in _DROPPED]


def rhythm_words(text: str) -> str:
    """The words of a `Title.text` that say what kind of tune it is; "" where there are none."""
    return " ".join(word for word, kind in _told_apart(text.split()) if kind)


def _told_apart(words: list[str]) -> list[tuple[str, bool]]:
    """Words, and whether each says what kind of tune it is."""
    kinds = [_is_kind(word) for word in words]
    before, left = [], list(range(len(words)))
    # Repeated for "quick reel step": without "reel" it has a "quick step".
    while left != before:
        for one, other in zip(left, left[1:]):
            # Such as "quick step" and "barn dance".
            if _is_kind(words[one] + words[other]):
                kinds[one] = kinds[other] = True
        before, left = left, [at for at in left if not kinds[at]]
    return list(zip(words, kinds))


def title_words(title: str) -> Iterator[tuple[str, ...]]:
    """Gives the words that a title is recognised by.

    Articles, accents, case, punctuation, numbering and remarks in brackets are removed.

    Yields:
      Words in lower case, once for each alternative title; nothing for a title that names no tune,
      such as "Irish Air", "Untitled" or "A Do.".
    """
    for part in _parts(title):
        part = _SECOND_S.sub("", part)
        words = _WORDS.findall(_INSIDE.sub("", part))
        words = [_MAC.sub("mc", _SPELLINGS.get(word, word)) for word in words]
        words = [word for word in words if word not in _DROPPED]
        if not names_nothing(words):
            yield tuple(words)


def names_nothing(words: Iterable[str]) -> bool:
    """Whether words of `title_words` are all so general that they name no tune."""
    return all(word in _GENERAL or word in _KEY_NAMES or word.isdigit() for word in words)


def fold(words: Iterable[str]) -> str:
    """Folds the words of `title_words`: equal for titles that are spelt in different ways."""
    # Without spaces "Honey Moon" is "Honey-Moon" and "Honeymoon".
    return _DOUBLED.sub(_ONCE, "".join(words))


def _parts(title: str) -> Iterator[str]:
    """The alternatives in lower case, without accents, numbering and remarks in brackets."""
    text = title[:_LOOKED_AT].casefold()
    if not text.isascii():
        text = _PATRONYMIC.sub("o'", unicodedata.normalize("NFC", text))
        text = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in text if not unicodedata.combining(c))
    text = _LEADING_NUMBER.sub("", _ASIDE.sub(" ", text))
    text = _OF.sub("of ", _CATALOGUE.sub(" ", text))
    for part in _OTHER_TITLE.split(text):
        yield _SETTING.sub("", part)


def _texts(title: str) -> Iterator[str]:
    for part in _parts(title):
        part = _ARTICLE_LAST.sub(r"\2 \1 ", part)
        part = _COLON_INSIDE.sub("", _APOSTROPHES.sub("'", part)).replace("&", " and ")
        text = " ".join(_TEXT_WORDS.findall(part))
        if text == title:
            yield text
        else:
            # After one removal there may be more to remove: "Camp Meeting No. 1, No. 2".
            yield from _texts(text)


def _is_kind(word: str) -> bool:
    stem = _POSSESSIVE.sub("", word)
    forms = (stem, stem.removesuffix("s"), stem.removesuffix("es"))
    return any(_SPELLINGS.get(form, form) in KINDS for form in forms)
