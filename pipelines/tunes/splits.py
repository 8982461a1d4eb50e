"""Splits in which the versions of one tune stay together.

Pieces that share a key (`pipelines.tunes.identity`) are one tune, and so are pieces that a chain of
such pieces joins: tunes are connected components of a graph. A title joins all tunes that have it
only where they are few; where they are many, it joins those that are alike. A tune's split follows
from its content alone, so it is the same on every machine, in any order and with any number of
workers. The rule is our own, since libraries split groups by random draws or by size, and so move
old tunes when new ones come; the components are SciPy's.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.runtime.app import UserError

DEFAULT_PERCENT = (80, 10, 10)

# A title of at most so many different melodies joins them, whether they are alike or not. Titles
# that name no tune are on more ("Polska från Småland"); no list of words could have them all.
_FEW = 5
# Under a title of more melodies some are alike by chance, and chains of these would join the rest.
_TOO_MANY = 200
# The letters of the kinds of keys that count differently.
_TITLE, _PHRASE = ord("t"), ord("p")
# The kind of key that joins again what was joined as alike, in a list that has no general titles.
_ALIKE = "alike:"


def parse_percent(values: Sequence[str]) -> tuple[int, int, int]:
    """Reads the percentages of train, validation and test.

    Raises:
      UserError: if they are not three whole numbers, from 0, that add up to 100.
    """
    try:
        percent = tuple(int(value) for value in values)
    except ValueError:
        percent = ()
    if len(percent) != 3 or min(percent) < 0 or sum(percent) != 100:
        raise UserError(
            f"--split_percent={','.join(values)}: give train, validation and test as three whole "
            "numbers that add up to 100, such as 80,10,10"
        )
    return percent


def hash_keys(keys: Iterable[str]) -> np.ndarray:
    """Turns keys into numbers, for files and comparisons.

    Args:
      keys: "kind:rest", where kinds differ in their first letter, which is ASCII.

    Returns:
      uint64 array shaped [keys], sorted, each once. The first byte is the kind's letter, the other
      seven are a BLAKE2b hash of the key.
    """
    hashes = {
        key[0].encode("ascii") + hashlib.blake2b(key.encode("utf-8"), digest_size=7).digest()
        for key in keys
    }
    return np.frombuffer(b"".join(sorted(hashes)), ">u8")


class Assignment(NamedTuple):
    """Which split each piece is in.

    Attributes:
      splits: uint8 array shaped [pieces]: 0, 1 or 2 for train, validation, test.
      general: hashes of titles that turned out to name no tune.
      compared: hashes of titles of more than a few melodies that were compared by their phrases,
        and turned out to name a tune.
      alike: as of `Joined`.
      groups: how many tunes there are.
      largest: how many versions the tune with the most versions has.
    """

    splits: np.ndarray
    general: frozenset[int]
    compared: frozenset[int]
    alike: Mapping[int, tuple[int, ...]]
    groups: int
    largest: int


class Joined(NamedTuple):
    """Which pieces are versions of one tune.

    Attributes:
      groups: int32 array shaped [pieces] of numbers below `pieces`: equal for versions of one tune.
      general, compared: as of `Assignment`.
      alike: for each piece that a general title joins to other melodies, since they are alike, a
        key for each such title, which exactly the joined pieces have: "alike:" with the title and
        the smallest phrase that joins them, hashed as by `hash_keys`.
    """

    groups: np.ndarray
    general: frozenset[int]
    compared: frozenset[int]
    alike: Mapping[int, tuple[int, ...]]


def is_phrase(key: int) -> bool:
    """Whether a hash of `hash_keys` is that of a phrase, which alone identifies no tune."""
    return key >> 56 == _PHRASE


def join(hashes: np.ndarray, counts: np.ndarray) -> Joined:
    """Joins pieces that share a key, and those that a chain of such pieces joins.

    Args:
      hashes: uint64 array shaped [keys]: the hashes of all pieces' keys, piece after piece.
      counts: integer array shaped [pieces]: how many keys each piece has.
    """
    pieces = len(counts)
    owner, hashes = _shared(np.repeat(np.arange(pieces, dtype=np.int32), counts), hashes)
    phrases = _kind(hashes) == _PHRASE
    phrase_owner, phrase = owner[phrases], hashes[phrases]
    owner = owner[~phrases]
    names, key = np.unique(hashes[~phrases], return_inverse=True)
    key = key.astype(np.int32)

    by_melody = (_kind(names) != _TITLE)[key]
    melodies = _components(pieces, owner[by_melody], key[by_melody])
    many = _different(key[~by_melody], melodies[owner[~by_melody]], len(names)) > _FEW

    # The tunes under each title of many melodies: alike where a chain of melodies and phrases that
    # they have in common leads from one to the other.
    tunes = np.flatnonzero(many[key])
    melody = melodies[owner[tunes]]
    with_phrase, phrase = _phrases(key[tunes], melody, owner[tunes], phrase_owner, phrase)
    alike = _alike(key[tunes], melody, with_phrase, phrase)
    general = _different(key[tunes], alike, len(names)) > _FEW

    joining = ~general[key]
    joins_alike = general[key[tunes]]
    groups = _components(
        pieces,
        np.concatenate([owner[joining], owner[tunes][joins_alike]]),
        np.concatenate([key[joining], len(names) + alike[joins_alike]]),
    )
    named = _alike_keys(names[key[tunes]], melody, alike, with_phrase, phrase)
    alike_keys: dict[int, tuple[int, ...]] = {}
    for tune in np.flatnonzero(joins_alike & np.isin(alike, list(named))).tolist():
        piece = int(owner[tunes[tune]])
        alike_keys[piece] = (*alike_keys.get(piece, ()), named[int(alike[tune])])
    return Joined(
        groups,
        frozenset(names[general].tolist()),
        frozenset(names[many & ~general].tolist()),
        alike_keys,
    )


def _kind(hashes: np.ndarray) -> np.ndarray:
    """The letters of the kinds of keys, uint64 as their hashes."""
    return hashes >> np.uint64(56)


def _shared(owner: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leaves out the keys that one piece alone has: they join nothing, and most are such keys."""
    order = np.argsort(hashes)
    ordered = hashes[order]
    same = ordered[1:] == ordered[:-1]
    shared = np.zeros(len(hashes), bool)
    shared[order[1:][same]] = shared[order[:-1][same]] = True
    return owner[shared], hashes[shared]


def _different(first: np.ndarray, second: np.ndarray, size: int) -> np.ndarray:
    """How many different second numbers each first number below `size` has: int64 [size]."""
    pairs = np.unique(np.stack([first, second]), axis=1)
    return np.bincount(pairs[0], minlength=size)


def _phrases(
    title: np.ndarray,
    melody: np.ndarray,
    owner: np.ndarray,
    phrase_owner: np.ndarray,
    phrase: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The phrases by which the tunes under one title are compared.

    Args:
      title, melody, owner: integer arrays shaped [tunes]: a tune is a piece under one of its
        titles; the numbers of that title, of the piece's melody, and of the piece.
      phrase_owner, phrase: arrays shaped [all phrases]: each piece's phrases, piece after piece.

    Returns:
      Integer array shaped [phrases] of tunes, and uint64 array shaped [phrases]: a phrase of each.
    """
    # By chance a few of very many pieces have a phrase in common.
    few = (_different(title, melody, title.max(initial=-1) + 1) <= _TOO_MANY)[title]
    first = np.searchsorted(phrase_owner, owner, side="left")
    size = np.where(few, np.searchsorted(phrase_owner, owner, side="right") - first, 0)
    tune = np.repeat(np.arange(len(title)), size)
    at = np.arange(size.sum()) - np.repeat(size.cumsum() - size, size) + np.repeat(first, size)
    return tune, phrase[at]


def _alike(
    title: np.ndarray, melody: np.ndarray, with_phrase: np.ndarray, phrase: np.ndarray
) -> np.ndarray:
    """Finds the tunes under one title that are alike.

    Args:
      title, melody: integer arrays shaped [tunes], as of `_phrases`.
      with_phrase, phrase: as `_phrases` returns them.

    Returns:
      int32 array shaped [tunes]: equal for tunes of one title that are alike.
    """
    # What is alike: a melody, which is a small number, or a phrase, whose first byte is its letter.
    tune = np.concatenate([np.arange(len(title)), with_phrase])
    same = np.concatenate([melody.astype(np.uint64), phrase])
    _, what = np.unique(
        np.stack([title[tune].astype(np.uint64), same]), axis=1, return_inverse=True
    )
    return _components(len(title), tune, what)


def _alike_keys(
    title: np.ndarray,
    melody: np.ndarray,
    alike: np.ndarray,
    with_phrase: np.ndarray,
    phrase: np.ndarray,
) -> dict[int, int]:
    """The keys of tunes that are alike and of several melodies, by their number in `alike`.

    Args:
      title: uint64 array shaped [tunes]: the hashes of their titles.
      melody, alike: integer arrays shaped [tunes], as of `_phrases` and from `_alike`.
      with_phrase, phrase: as `_phrases` returns them.
    """
    title_of = dict(zip(alike.tolist(), title.tolist(), strict=True))
    several = _different(alike, melody, len(alike)) > 1
    # A phrase that two of the tunes have; several melodies are not alike without one.
    group = alike[with_phrase]
    order = np.lexsort([phrase, group])
    group, phrase = group[order], phrase[order]
    joining = np.flatnonzero((group[1:] == group[:-1]) & (phrase[1:] == phrase[:-1]))
    numbers, smallest = np.unique(group[joining], return_index=True)
    return {
        number: int(hash_keys([f"{_ALIKE}{title_of[number]:016x} {name:016x}"])[0])
        for number, name in zip(numbers.tolist(), phrase[joining[smallest]].tolist(), strict=True)
        if several[number]
    }


def assign(
    own: np.ndarray,
    hashes: np.ndarray,
    counts: np.ndarray,
    percent: Sequence[int] = DEFAULT_PERCENT,
) -> Assignment:
    """Assigns pieces to splits.

    Args:
      own: uint64 array shaped [pieces]: a hash of each piece's name, which counts for pieces
        without keys.
      hashes: uint64 array shaped [keys]: the hashes of all pieces' keys, piece after piece.
      counts: integer array shaped [pieces]: how many keys each piece has.
      percent: the shares of train, validation and test.
    """
    pieces = len(own)
    joined = join(hashes, counts)
    group = joined.groups
    # The smallest key names the group, or the piece where it has no key.
    kinds = _kind(hashes).astype(np.uint8)
    naming = kinds != _PHRASE
    titles = np.flatnonzero(kinds == _TITLE)
    naming[titles] = ~np.isin(hashes[titles], np.fromiter(joined.general, np.uint64))
    owner = np.repeat(np.arange(pieces, dtype=np.int32), counts)[naming]
    smallest = np.full(pieces, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, group[owner], hashes[naming])
    alone = np.bincount(owner, minlength=pieces) == 0
    np.minimum.at(smallest, group[alone], own[alone])
    sizes = np.bincount(group, minlength=pieces)
    split_of = np.zeros(pieces, np.uint8)
    for i in np.flatnonzero(sizes):
        split_of[i] = _split(int(smallest[i]), percent)
    return Assignment(
        split_of[group],
        joined.general,
        joined.compared,
        joined.alike,
        int(np.count_nonzero(sizes)),
        int(sizes.max(initial=0)),
    )


def _components(pieces: int, owner: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Finds the connected components of the graph of pieces and their keys.

    Returns:
      int32 array shaped [pieces] of numbers below `pieces`: the component of each piece.
    """
    # Imported here because only the end of a job needs it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.ones(len(owner), np.int8)
    size = pieces + int(key.max(initial=-1)) + 1
    graph = coo_array((edges, (owner, key + np.int32(pieces))), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    return np.unique(labels[:pieces], return_inverse=True)[1].astype(np.int32)


def _split(name: int, percent: Sequence[int]) -> int:
    digest = hashlib.blake2b(name.to_bytes(8, "big"), digest_size=8).digest()
    # In integers, so that rounding decides nothing.
    place = int.from_bytes(digest, "big") * 100 >> 64
    train, validation, _ = percent
    return 0 if place < train else 1 if place < train + validation else 2
