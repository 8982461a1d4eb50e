"""Splits in which the versions of one tune stay together.

Pieces that share a key (`pipelines.tunes.identity`) are one tune, and so are pieces that a chain of
such pieces joins: tunes are connected components of a graph. A tune's split follows from its
content alone, so it is the same on every machine, in any order and with any number of workers. The
rule is our own, since libraries split groups by random draws or by size, and so move old tunes when
new ones come; the components are SciPy's.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.runtime.app import UserError

DEFAULT_PERCENT = (80, 10, 10)

# A title of more different melodies than this, and of more than this share of all, names no tune:
# "Polska" in a book of polskas. The lists in `title_text` cannot have every such word.
_MAX_MELODIES, _MAX_SHARE = 50, 0.02
_TITLE_KIND = ord("t")


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
      general: hashes of keys that turned out to name no tune; they join nothing.
      groups: how many tunes there are.
      largest: how many versions the tune with the most versions has.
    """

    splits: np.ndarray
    general: frozenset[int]
    groups: int
    largest: int


class Joined(NamedTuple):
    """Which pieces are versions of one tune, and by which keys.

    Attributes:
      groups: int32 array shaped [pieces] of numbers below `pieces`: equal for versions of one tune.
      general: hashes of keys that turned out to name no tune; they join nothing.
      names: uint64 array: the hashes, each once.
      owner, key: int32 arrays shaped [keys that join]: the index of a piece, and the index in
        `names` of a key that it has.
    """

    groups: np.ndarray
    general: frozenset[int]
    names: np.ndarray
    owner: np.ndarray
    key: np.ndarray


def join(hashes: np.ndarray, counts: np.ndarray) -> Joined:
    """Joins pieces that share a key, and those that a chain of such pieces joins.

    Args:
      hashes: uint64 array shaped [keys]: the hashes of all pieces' keys, piece after piece.
      counts: integer array shaped [pieces]: how many keys each piece has.
    """
    pieces = len(counts)
    owner = np.repeat(np.arange(pieces, dtype=np.int32), counts)
    names, key = np.unique(hashes, return_inverse=True)
    key = key.astype(np.int32)
    titled = (names >> np.uint64(56)) == _TITLE_KIND

    # Titles of too many different melodies join nothing.
    by_melody = ~titled[key]
    melodies = _components(pieces, len(names), owner[by_melody], key[by_melody])
    under = np.unique(np.stack([key[~by_melody], melodies[owner[~by_melody]]]), axis=1)[0]
    limit = max(_MAX_MELODIES, _MAX_SHARE * len(np.unique(melodies)))
    general = np.bincount(under, minlength=len(names)) > limit

    joining = ~general[key]
    owner, key = owner[joining], key[joining]
    group = _components(pieces, len(names), owner, key)
    general_hashes = frozenset(names[general].tolist())
    return Joined(group, general_hashes, names, owner, key)


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
    group, names, owner, key = joined.groups, joined.names, joined.owner, joined.key
    # The smallest key names the group; a piece without keys is a group by itself.
    smallest = np.full(pieces, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, group[owner], names[key])
    alone = np.bincount(owner, minlength=pieces) == 0
    smallest[group[alone]] = own[alone]
    sizes = np.bincount(group, minlength=pieces)
    split_of = np.zeros(pieces, np.uint8)
    for i in np.flatnonzero(sizes):
        split_of[i] = _split(int(smallest[i]), percent)
    return Assignment(
        split_of[group],
        joined.general,
        int(np.count_nonzero(sizes)),
        int(sizes.max(initial=0)),
    )


def _components(pieces: int, keys: int, owner: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Finds the connected components of the graph of pieces and their keys.

    Returns:
      int32 array shaped [pieces] of numbers below `pieces`: the component of each piece.
    """
    # Imported here because only the end of a job needs it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.ones(len(owner), np.int8)
    size = pieces + keys
    graph = coo_array((edges, (owner, key + np.int32(pieces))), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    return np.unique(labels[:pieces], return_inverse=True)[1].astype(np.int32)


def _split(name: int, percent: Sequence[int]) -> int:
    digest = hashlib.blake2b(name.to_bytes(8, "big"), digest_size=8).digest()
    # In integers, so that rounding decides nothing.
    place = int.from_bytes(digest, "big") * 100 >> 64
    train, validation, _ = percent
    return 0 if place < train else 1 if place < train + validation else 2
