"""Splits: what shares a key stays together, whatever the order; shares; titles of no tune."""

import collections
import hashlib
import random

import numpy as np
import pytest

from pipelines.runtime.app import UserError
from pipelines.tunes import splits


def assign(pieces, percent=splits.DEFAULT_PERCENT):
    """Assigns {name: keys}; returns {name: split} and the assignment."""
    hashes = [splits.hash_keys(keys) for keys in pieces.values()]
    own = np.array([splits.hash_keys([f"own:{name}"])[0] for name in pieces], np.uint64)
    counts = np.array([len(some) for some in hashes], np.int32)
    made = splits.assign(own, np.concatenate([*hashes, np.zeros(0, ">u8")]), counts, percent)
    return dict(zip(pieces, made.splits.tolist(), strict=True)), made


def chained(pieces):
    """The groups of {name: set of anything}, by joining sets until nothing changes."""
    found = [({name}, set(keys)) for name, keys in pieces.items()]
    changed = True
    while changed:
        changed = False
        merged = []
        for names, keys in found:
            for other, (other_names, other_keys) in enumerate(merged):
                if keys & other_keys:
                    merged[other] = (names | other_names, keys | other_keys)
                    changed = True
                    break
            else:
                merged.append((names, keys))
        found = merged
    return [names for names, _ in found]


def groups(pieces):
    """The groups of {name: keys}, told again: a title joins all, or those alike."""
    kinds = {
        kind: {name: {k for k in keys if k.startswith(kind)} for name, keys in pieces.items()}
        for kind in ("title:", "melody:", "run:", "phrase:")
    }
    own = {name: kinds["melody:"][name] | kinds["run:"][name] for name in pieces}
    melodies = {name: number for number, some in enumerate(chained(own)) for name in some}
    for title in sorted(set().union(*kinds["title:"].values())):
        under = [name for name in pieces if title in kinds["title:"][name]]
        if len({melodies[name] for name in under}) <= 5:
            alike = [set(under)]
        else:
            like = {name: {melodies[name], *kinds["phrase:"][name]} for name in under}
            alike = chained(like)
            alike = [set(under)] if len(alike) <= 5 else alike
        for number, names in enumerate(alike):
            for name in names:
                own[name].add((title, number))
    return chained(own)


def random_pieces(rng, count):
    """Pieces with a few keys, half of them with one of two titles, and others with their own."""
    titles = ["title:polska", "title:vals", *(f"title:{i}" for i in range(count))]
    weights = [count / 2, count / 2, *[1] * count]
    return {
        f"piece{i}": (
            *rng.choices(titles, weights, k=rng.randrange(2)),
            *(f"melody:{rng.randrange(count)}" for _ in range(rng.randrange(2))),
            *(f"run:{rng.randrange(count)}" for _ in range(rng.randrange(2))),
            *(f"phrase:{rng.randrange(count)}" for _ in range(rng.randrange(3))),
        )
        for i in range(count)
    }


@pytest.mark.parametrize("seed", range(30))
def test_components_are_those_of_brute_force(seed):
    pieces = random_pieces(random.Random(seed), 60)
    made, assignment = assign(pieces)
    expected = groups(pieces)
    assert assignment.groups == len(expected)
    assert assignment.largest == max(map(len, expected))
    for names in expected:
        assert len({made[name] for name in names}) == 1


def test_a_split_follows_from_the_tune_alone():
    rng = random.Random(0)
    pieces = random_pieces(rng, 400)
    made, _ = assign(pieces)
    assert set(made.values()) == {0, 1, 2}
    shuffled = list(pieces.items())
    rng.shuffle(shuffled)
    assert assign(dict(shuffled))[0] == made
    # Other tunes in the same run change nothing, as long as they join none of these.
    more = {**pieces, **{f"other{i}": (f"melody:other{i // 2}",) for i in range(100)}}
    again = assign(more)[0]
    assert {name: again[name] for name in pieces} == made


def test_the_splits_of_some_tunes_stay_as_they_are_from_version_to_version():
    pieces = {f"piece{i}": (f"melody:{i}",) for i in range(30)}
    made, _ = assign(pieces)
    # Told again, in other words: 7 bytes of BLAKE2b of the key after the letter m,
    # and 8 bytes of BLAKE2b of these 8, as a fraction of 2**64, below 0.8 or 0.9 or not.

    for i in range(30):
        key = f"melody:{i}".encode()
        name = b"m" + hashlib.blake2b(key, digest_size=7).digest()
        place = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") / 2**64
        assert made[f"piece{i}"] == (0 if place < 0.8 else 1 if place < 0.9 else 2)


@pytest.mark.parametrize("percent", [(80, 10, 10), (50, 25, 25), (100, 0, 0), (0, 0, 100)])
def test_shares(percent):
    made, _ = assign({f"piece{i}": (f"melody:{i}",) for i in range(4000)}, percent)
    counts = collections.Counter(made.values())
    for split, share in enumerate(percent):
        # Five standard deviations of a binomial of 4,000.
        spread = 5 * (4000 * share / 100 * (1 - share / 100)) ** 0.5
        assert abs(counts[split] - 40 * share) <= spread


def test_pieces_without_keys_are_by_themselves():
    made, assignment = assign({f"piece{i}": () for i in range(500)})
    assert assignment.groups == 500 and assignment.largest == 1
    assert set(made.values()) == {0, 1, 2}
    assert assign({})[1].groups == 0


def test_a_title_of_few_melodies_joins_them_and_one_of_many_does_not():
    polskas = {f"polska{i}": ("title:polska", f"melody:{i}") for i in range(60)}
    made, assignment = assign(polskas)
    assert assignment.groups == 60 and set(made.values()) == {0, 1, 2}
    assert assignment.general == set(splits.hash_keys(["title:polska"]).tolist())
    # As many versions of one tune are one tune.
    versions = {f"version{i}": ("title:polska", "melody:one") for i in range(60)}
    made, assignment = assign(versions)
    assert assignment.groups == 1 and not assignment.general
    # A title counts for up to five melodies, however many tunes there are.
    others = {f"other{i}": (f"melody:other{i}",) for i in range(2940)}
    assert assign({**polskas, **others})[1].groups == 3000
    assert assign({**dict(list(polskas.items())[:6]), **others})[1].groups == 2946
    assert assign({**dict(list(polskas.items())[:5]), **others})[1].groups == 2941
    # A melody always does.
    assert assign({f"p{i}": ("melody:x", f"title:{i}") for i in range(90)})[1].groups == 1


def test_a_title_of_many_melodies_joins_those_that_are_alike():
    # Nine melodies, of which phrases chain five; the title joins these, and nothing else does.
    pieces = {f"piece{i}": ("title:polska", f"melody:{i}") for i in range(9)}
    alike = {
        name: (*keys, f"phrase:{i}", f"phrase:{i + 1}") if i < 5 else keys
        for i, (name, keys) in enumerate(pieces.items())
    }
    joined = join({**alike, "other": ("title:vals", "phrase:3")})
    numbers = joined.groups.tolist()
    # The chain is one, the four others five in all: few enough for the title to join all nine.
    assert len(set(numbers[:9])) == 1 and numbers[9] != numbers[0]
    assert joined.compared == set(splits.hash_keys(["title:polska"]).tolist())
    # With a tenth melody it joins only the chain.
    numbers = join({**alike, "tenth": ("title:polska", "melody:10")}).groups.tolist()
    assert len(set(numbers[:5])) == 1 and len(set(numbers)) == 6
    # A phrase alone joins nothing, nor does it name the tune.
    assert len(set(join({"a": ("phrase:1",), "b": ("phrase:1",)}).groups.tolist())) == 2
    assert assign({"a": ("phrase:1", "title:x")})[0] == assign({"a": ("title:x",)})[0]


def test_phrases_do_not_chain_hundreds_of_melodies_of_one_title():
    pieces = {
        f"piece{i}": ("title:polska", f"melody:{i}", f"phrase:{i}", f"phrase:{i + 1}")
        for i in range(201)
    }
    assert assign(pieces)[1].groups == 201
    assert assign(dict(list(pieces.items())[1:]))[1].groups == 1


def test_hashes_tell_titles_from_melodies_and_are_sorted():
    hashes = splits.hash_keys(["title:b", "melody:a", "title:b", "title:a"])
    assert [int(h) >> 56 for h in hashes] == [ord("m"), ord("t"), ord("t")]
    assert sorted(hashes.tolist()) == hashes.tolist()
    assert len(splits.hash_keys([])) == 0


@pytest.mark.parametrize("values", ["80,10", "80,10,11", "a,b,c", "110,-5,-5", "80.5,9.5,10", ""])
def test_shares_that_are_none(values):
    with pytest.raises(UserError, match="--split_percent=.*add up to 100"):
        splits.parse_percent(values.split(","))


def test_shares_are_parsed():
    assert splits.parse_percent(["70", "20", "10"]) == (70, 20, 10)


def join(pieces):
    """Joins {name: keys}."""
    hashes = [splits.hash_keys(keys) for keys in pieces.values()]
    counts = np.array([len(some) for some in hashes], np.int32)
    return splits.join(np.concatenate([*hashes, np.zeros(0, ">u8")]), counts)


@pytest.mark.parametrize("seed", range(30))
def test_joined_groups_are_those_of_brute_force(seed):
    pieces = random_pieces(random.Random(seed), 60)
    joined = join(pieces)
    together: dict[int, set] = {}
    for name, group in zip(pieces, joined.groups.tolist(), strict=True):
        together.setdefault(group, set()).add(name)
    assert sorted(map(sorted, together.values())) == sorted(map(sorted, groups(pieces)))
    assert 0 <= min(together) and max(together) < len(pieces)


def test_joining_nothing_and_pieces_without_keys():
    assert join({}).groups.tolist() == []
    assert sorted(join({"a": (), "b": (), "c": ()}).groups.tolist()) == [0, 1, 2]
    one, two, alone = join({"a": ("melody:1",), "b": ("melody:1",), "c": ()}).groups.tolist()
    assert one == two != alone


def test_titles_of_too_many_melodies_join_nothing():
    polskas = {f"polska{i}": ("title:polska", f"melody:{i}") for i in range(60)}
    joined = join(polskas)
    assert len(set(joined.groups.tolist())) == 60
    general = set(splits.hash_keys(["title:polska"]).tolist())
    assert joined.general == general
