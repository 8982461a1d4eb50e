"""Tunebooks as corpora: what is read, the names of tunes, and what becomes of bad ones."""

import collections
import json
import random
import zipfile

import pytest

from pipelines.corpora import (
    Ignored,
    Piece,
    Skipped,
    Source,
    _inputs,
    _tunebooks,
    conversion,
    corpora,
)
from pipelines.music.abc import tunebook
from pipelines.music.limits import Limits, Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.records import beam_batches, parts, shards, tfrecord
from pipelines.records.manifest import SPLITS
from pipelines.records.tune_list import read_tunes
from pipelines.runtime.app import UserError
from tests.support.records import contents, sequences

ABC = corpora()["abc"]
PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
REAL = {
    "nottingham": ("nottingham", 1034),
    "oneills": ("oneills1850", 2009),
    "ryans": ("ryansMammoth", 1059),
    "airds": ("airdsAirs", 1180),
    "litten": ("litten-ms", 115),
}


def tune(number, title="", music="GABc dedB|dedB dedB|c2ec B2dB|A2F2 G4|", key="G"):
    return f"X:{number}\nT:{title or f'The Road to {number}'}\nM:4/4\nL:1/8\nK:{key}\n{music}\n\n"


def random_tune(number, rng):
    music = "|".join("".join(rng.choices("CDEFGABcdefgab", k=8)) for _ in range(8))
    return tune(number, music=music + "|")


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def found(*paths, corpus=ABC):
    """What reading gives: pieces by id; the rest as (kind, key, reason)."""
    pieces, others = {}, []
    for source in corpus.sources([str(path) for path in paths]):
        if isinstance(source, Skipped):
            others.append(("skipped", source.key, source.reason))
            continue
        # A job passes sources on as JSON.
        source = Source(*json.loads(json.dumps(source)))
        try:
            for one in corpus.sequences(source, Limits()):
                if isinstance(one, Piece):
                    assert one.split is None and one.keys
                    assert one.sequence.id not in pieces
                    pieces[one.sequence.id] = one.sequence
                elif isinstance(one, Ignored):
                    others.append(("ignored", one.key, one.detail))
                else:
                    others.append(("skipped", one.key, one.reason))
        except Rejected as rejected:
            others.append(("skipped", source.key, rejected.reason))
    return pieces, others


def by_split(path):
    return {
        NoteSequence.FromString(record).id: split
        for split in SPLITS
        for file in (path.glob(f"{split}.tfrecord*"))
        for record in tfrecord.read(file)
    }


def test_a_folder_its_zip_and_its_files_give_the_same_tunes(tmp_path):
    files = {
        "one.abc": tune(1) + tune(2),
        "deep/er/two.ABC": tune(1),
        "three.txt": "Prose before.\n\n" + tune(7),
        "page": f"<html><pre>\n{tune(3)}</pre></html>",
        ".git/objects/x.abc": tune(9),
    }
    folder = write(tmp_path / "books", files)
    with zipfile.ZipFile(tmp_path / "books.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    names = ["deep/er/two.ABC/1", "one.abc/1", "one.abc/2", "page/3", "three.txt/7"]
    for where in (folder, tmp_path / "books.zip"):
        pieces, others = found(where)
        assert sorted(pieces) == names and not others
    pieces, _ = found(folder / "one.abc")
    assert sorted(pieces) == ["one.abc/1", "one.abc/2"]
    # Some programs write names in a zip in this way.
    with zipfile.ZipFile(tmp_path / "dots.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(f"./{name}", text)
    assert sorted(found(tmp_path / "dots.zip")[0]) == names
    one = pieces["one.abc/2"]
    assert (one.filename, one.collection_name) == ("one.abc", "abc")
    assert one.sequence_metadata.title == "The Road to 2"
    # A file by itself may be called anything.
    write(tmp_path, {"odd.name": tune(4)})
    assert list(found(tmp_path / "odd.name")[0]) == ["odd.name/4"]


def test_ids_are_unique_where_numbers_are_not(tmp_path):
    text = tune(1) + tune(1) + tune("") + tune("12 / b") + tune(1).replace("X:1\n", "")
    pieces, others = found(write(tmp_path, {"a.abc": text}))
    # Each tune takes seven lines, the blank one included.
    assert list(pieces) == [
        "a.abc/1",
        "a.abc/1:8",
        "a.abc/line15",
        "a.abc/12-b",
        "a.abc/line29",
    ]
    assert not others


def test_a_bad_tune_leaves_its_file_alone_and_is_named_by_its_line(tmp_path, monkeypatch):
    real = _tunebooks.reader.read

    def read(text, *limits):
        if any("BOOM" in line for line in text.lines):
            raise ZeroDivisionError("boom")
        return real(text, *limits)

    monkeypatch.setattr(_tunebooks.reader, "read", read)
    long = "GABc dedB|" * 20_000
    text = tune(1) + tune(2, music="z8|z8|") + tune(3, "BOOM") + tune(4, music=long) + tune(5)
    pieces, others = found(write(tmp_path, {"a.abc": text}))
    assert list(pieces) == ["a.abc/1", "a.abc/5"]
    assert others == [
        ("skipped", "a.abc:8", "no_notes"),
        ("skipped", "a.abc:15", "unreadable"),
        ("skipped", "a.abc:22", "too_many_notes"),
    ]


def test_files_without_tunes_are_told_apart(tmp_path):
    write(
        tmp_path / "books",
        {
            "LICENSE": "You may copy this.\n",
            "cover.png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9,
            "empty.abc": "% nothing yet\n",
            "good.abc": tune(1),
        },
    )
    pieces, others = found(tmp_path / "books")
    assert list(pieces) == ["good.abc/1"]
    assert [other[:2] for other in others] == [
        ("ignored", "LICENSE"),
        ("ignored", "cover.png"),
        ("skipped", "empty.abc"),
    ]
    manifest = conversion.convert("abc", str(tmp_path / "books"), str(tmp_path / "r"), 1)
    assert {name: manifest[name] for name in ("read", "rejected", "clean", "ignored")} == {
        "read": 2,
        "rejected": 1,
        "clean": 1,
        "ignored": 2,
    }
    assert manifest["reasons"] == {"no_tune": 1}
    lines = (tmp_path / "r" / "ignored.jsonl").read_text().splitlines()
    assert [json.loads(line)["source"] for line in lines] == ["LICENSE", "cover.png"]
    # A file that was asked for has to have tunes.
    with pytest.raises(UserError, match="no record was kept .*LICENSE: no_tune: there is no tune"):
        conversion.convert("abc", str(tmp_path / "books" / "LICENSE"), str(tmp_path / "s"))
    with pytest.raises(UserError, match="no record was kept .*cover.png: not_text"):
        conversion.convert("abc", str(tmp_path / "books" / "cover.png"), str(tmp_path / "s"))


MIDI = b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0"


@pytest.mark.parametrize("name", ["song.mid", "song.abc", "song"])
def test_a_midi_file_is_named_as_one(tmp_path, name):
    write(tmp_path, {name: MIDI, f"books/{name}": MIDI, "books/good.abc": tune(1)})
    with pytest.raises(UserError, match=f"{name}: not_text: a MIDI file"):
        conversion.convert("abc", str(tmp_path / name), str(tmp_path / "r"))
    # Beside tunes it is ignored, unless its name says that it is a tunebook.
    conversion.convert("abc", str(tmp_path / "books"), str(tmp_path / "s"), 1)
    listed = "rejected" if name == "song.abc" else "ignored"
    [line] = (tmp_path / "s" / f"{listed}.jsonl").read_text().splitlines()
    assert json.loads(line)["source"] == name and "a MIDI file" in json.loads(line)["detail"]


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_folder_of_midi_is_sent_to_another_corpus(tmp_path, form):
    files = {"a/1.mid": MIDI, "a/2.MIDI": MIDI, "LICENSE": "None.\n", "x.png": b"\x89PNG\0\1\2" * 9}
    where = write(tmp_path / "music", files)
    if form == "zip":
        where = tmp_path / "music.zip"
        with zipfile.ZipFile(where, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    message = "music.* has 2 MIDI files and no tune .*--corpus=groove, .*--corpus=midi"
    with pytest.raises(UserError, match=message):
        found(where)
    # One tune beside them is enough, in a file of any name.
    write(tmp_path / "music", {"tunes.txt": tune(1)})
    assert list(found(tmp_path / "music")[0]) == ["tunes.txt/1"]


def test_warnings_are_counted(tmp_path):
    # A bracket that nothing closes.
    text = tune(1) + tune(2, music="GABc dedB|dedB [dedB|c2ec B2dB|A2F2 G4|")
    manifest = conversion.convert(
        "abc", str(write(tmp_path / "b", {"a.abc": text})), str(tmp_path / "r"), 1
    )
    assert (manifest["read"], manifest["rejected"], manifest["clean"]) == (2, 0, 1)


def test_warned_tunes_are_listed_and_rejected_ones_have_their_titles(tmp_path):
    text = tune(1) + tune(2, music="|:GABc dedB|dedB [dedB|c2ec B2dB|A2F2 G4|")
    text += tune(3, music="|: abcd :|") + tune(4, music="z8|").replace("T:", "T: A \\% B % C")
    conversion.convert("abc", str(write(tmp_path / "b", {"a.abc": text})), str(tmp_path / "r"), 1)
    warned, rejected = (
        list(map(json.loads, (tmp_path / "r" / name).read_text("utf-8").splitlines()))
        for name in ("warned.jsonl", "rejected.jsonl")
    )
    # Seven lines a tune; the music of the second is its sixth.
    unclosed = "a repeat begins here with |: and has no :|; played once"
    title = warned[0]["title"]
    assert title and warned == [
        {
            "id": "a.abc/2",
            "title": title,
            "line": 13,
            "warning": "'[' has no meaning here; left out",
        },
        {"id": "a.abc/2", "title": title, "line": 13, "warning": unclosed},
    ]
    assert [(line["source"], line["reason"]) for line in rejected] == [
        ("a.abc:15", "placeholder"),
        ("a.abc:22", "no_notes"),
    ]
    assert rejected[0]["title"] and rejected[1]["title"] == "A % B"
    (kept,) = [one for one in sequences(tmp_path / "r") if one.id == "a.abc/2"]
    assert kept.sequence_metadata.title == title


def test_links_and_names_that_lead_out_are_not_followed(tmp_path):
    write(tmp_path, {"secret.abc": tune(1), "books/a.abc": tune(2)})
    (tmp_path / "books" / "link.abc").symlink_to(tmp_path / "secret.abc")
    (tmp_path / "more").mkdir()
    (tmp_path / "books" / "loop").symlink_to(tmp_path / "books")
    (tmp_path / "books" / "more").symlink_to(tmp_path / "more")
    (tmp_path / "books" / "circle.abc").symlink_to("circle.abc")
    pieces, others = found(tmp_path / "books")
    assert list(pieces) == ["a.abc/2"]
    assert sorted(others) == [
        ("skipped", "circle.abc", "unreadable"),
        ("skipped", "link.abc", "outside"),
        ("skipped", "loop/", "unreadable"),
        ("skipped", "more/", "unreadable"),
    ]
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("../secret.abc", tune(1))
        archive.writestr("a.abc", tune(2))
    pieces, others = found(tmp_path / "z.zip")
    assert list(pieces) == ["a.abc/2"] and others == [("skipped", "../secret.abc", "outside")]


def test_several_inputs_are_named_by_what_tells_them_apart(tmp_path):
    write(tmp_path, {"x/a.abc": tune(1), "y/a.abc": tune(1), "x/deep/b.abc": tune(2)})
    pieces, _ = found(tmp_path / "x", tmp_path / "y")
    assert sorted(pieces) == ["x/a.abc/1", "x/deep/b.abc/2", "y/a.abc/1"]
    pieces, _ = found(tmp_path / "y" / "a.abc", tmp_path / "x" / "a.abc")
    assert sorted(pieces) == ["x/a.abc/1", "y/a.abc/1"]
    pieces, _ = found(tmp_path / "x" / "deep" / "b.abc", tmp_path / "y")
    assert sorted(pieces) == ["b.abc/2", "y/a.abc/1"]
    ends = _inputs._ends(["/x", "/r/x/y", "/s/y"])
    assert ends == ["x", "r/x/y", "s/y"]
    for inner in (tmp_path / "x", tmp_path / "x" / "deep", tmp_path / "x" / "a.abc"):
        with pytest.raises(UserError, match="--input=.* is part of --input=.*; leave it out"):
            found(tmp_path / "x", inner)
    with pytest.raises(UserError, match="does not exist"):
        found(tmp_path / "x", tmp_path / "nothing")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["file", "zip"])
def test_slices_of_a_large_file_give_what_the_whole_gives(tmp_path, monkeypatch, newline, form):
    rng = random.Random(0)
    text = "% a book\nR:reel\nC:Someone\n\n" + "".join(
        random_tune(number % 40, rng) + "Prose.\n\nN:more prose\n\n" * (number % 3)
        for number in range(200)
    )
    where = tmp_path / "big.abc"
    where.write_bytes(text.replace("\n", newline).encode())
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "big.zip", "w") as archive:
            archive.write(where, "big.abc")
        where = tmp_path / "big.zip"
    whole, _ = found(where)
    assert len(whole) == 200
    monkeypatch.setattr(_tunebooks, "_SLICE_BYTES", 2000)
    sources = list(ABC.sources([str(where)]))
    assert len(sources) > 10
    sliced, others = found(where)
    assert not others and len(sliced) == 200
    for one, other in zip(whole.values(), sliced.values(), strict=True):
        # Slices cannot know each other's numbers.
        assert other.id.startswith("big.abc/") and ":" in other.id
        one.id = other.id = ""
        assert one == other
        assert "C:Someone" in [annotation.text for annotation in other.text_annotations]


MANY = "".join(tune(number % 7) for number in range(60))
BODY = tune(1).removeprefix("X:1\n")


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + MANY.encode(),
        b"\xef\xbb\xbf" + f"R:reel\n\n{MANY}".encode(),
        f"T:The first\nC:Its composer\n{MANY}".encode(),
        (BODY + MANY).encode(),
        f"R:reel\n\n  X:9\n{BODY}{MANY}".encode(),
        f"> X:9\n> {BODY.rstrip().replace(chr(10), chr(10) + '> ')}\n\n{MANY}".encode(),
        f"C:Me\n\n{'It is said that ...' * 60}\n\n{MANY}".encode(),
        "I:abc-charset iso-8859-2\nC:Ż\n\n".encode("iso-8859-2")
        + MANY.replace("Road", "Żółw").encode("iso-8859-2"),
        MANY.replace("Road", "Väg").encode("latin-1"),
        MANY.replace("\n\n", "\n \t\n").encode(),
        f"%%begintext\nsome text\n%%endtext\nC:Me\n\n{MANY}".encode(),
        (MANY + f"<pre>\n{MANY}</pre>\n" + MANY).encode(),
        # Music outside of any tune: a warning names its line.
        MANY.replace("\n\n", "\n\nGABc dedB|dedB dedB|\n\n").encode(),
        # Tunes with the line ends of old Macs, then others.
        MANY.replace("\n", "\r").encode() + b"\n\n" + MANY.encode(),
        MANY.encode("utf-16"),
    ],
    ids="mark mark-header title-above no-number indented quoted prose charset latin spaces text "
    "late-markup left-over line-ends utf-16".split(),
)
def test_no_tune_is_lost_doubled_or_changed_by_slices(tmp_path, monkeypatch, data):
    where = write(tmp_path, {"big.abc": data})
    whole, _ = found(where)
    assert len(whole) >= 60
    monkeypatch.setattr(_tunebooks, "_SLICE_BYTES", 1000)
    monkeypatch.setattr(_tunebooks, "_MAX_HEADER_BYTES", 500)
    slices = len(list(ABC.sources([str(where)])))
    assert slices > 1 or data[:1] == b"\xff"
    sliced, others = found(where)
    assert not others
    if slices > 1:
        lines = [one.line for one in tunebook.tunes(tunebook.decode(data))]
        assert [int(name.rsplit(":", 1)[1]) for name in sliced] == lines
    for one in (*whole.values(), *sliced.values()):
        one.id = ""
    assert list(sliced.values()) == list(whole.values())


def test_there_are_not_too_many_slices(tmp_path, monkeypatch):
    monkeypatch.setattr(_tunebooks, "_SLICE_BYTES", 10)
    write(tmp_path, {"big.abc": "".join(tune(n) for n in range(200))})
    assert 40 < len(list(ABC.sources([str(tmp_path)]))) <= 64


def test_a_slice_without_an_end_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(_tunebooks, "_SLICE_BYTES", 1000)
    monkeypatch.setattr(_tunebooks, "_MAX_BYTES", 5000)
    endless = tune(2, music="GABc dedB|" * 1000)
    text = "".join(tune(n) for n in range(20)) + endless + "".join(tune(n) for n in range(20))
    pieces, others = found(write(tmp_path, {"a.abc": text}))
    assert [(kind, reason) for kind, _, reason in others] == [("skipped", "too_large")]
    assert len(pieces) > 20


def test_pages_of_markup_stay_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(_tunebooks, "_SLICE_BYTES", 200)
    page = "<html><body><pre>\n" + "".join(tune(n) for n in range(20)) + "</pre></body></html>"
    write(tmp_path, {"page.html": page})
    assert len(list(ABC.sources([str(tmp_path)]))) == 1
    assert len(found(tmp_path)[0]) == 20


def test_a_collection_has_to_be_there(tmp_path):
    write(tmp_path / "airs", {f"book{n}.abc": tune(n) for n in range(1, 7)})
    write(tmp_path / "airs", {"SOURCES.txt": "Where from.", "more.abc": tune(9)})
    airds = corpora()["airds"]
    pieces, others = found(tmp_path / "airs", corpus=airds)
    assert len(pieces) == 7 and not others
    assert {piece.collection_name for piece in pieces.values()} == {"airds"}
    # One folder up.
    assert found(tmp_path, corpus=airds)[0].keys() == pieces.keys()
    with pytest.raises(UserError, match="--corpus=airds takes one --input, not 2"):
        found(tmp_path, tmp_path, corpus=airds)
    (tmp_path / "airs" / "book3.abc").unlink()
    with pytest.raises(UserError, match="is not airds: it has no book3.abc; .*--corpus=abc"):
        found(tmp_path / "airs", corpus=airds)


def test_another_edition_of_a_collection_gives_a_warning(tmp_path, capsys):
    write(tmp_path / "m", {"Litten MS.abc": tune(1)})
    conversion.convert("litten", str(tmp_path / "m"), str(tmp_path / "r"), 1)
    said = capsys.readouterr().err
    assert "warning: 1 pieces were read, but litten has 115" in said
    assert "1 of 1 kept (100.0%); 1 of these are clean (100.0%)" in said


# Splits


RAISED = dict(zip("CDEFGABcdefgab", [*"DEFGABcdefgab", "c'"], strict=True))


def books(folder, seed=0):
    """Two books with 150 tunes each, 50 of which are in both: transposed, or by their titles."""
    rng = random.Random(seed)
    tunes = [random_tune(number, rng) for number in range(200)]
    second = []
    for number, text in enumerate(tunes[100:], start=100):
        if number < 125:
            # Under another name and a whole tone up, from G to A major: each letter is the next.
            music = text.split("\n")[5]
            raised = "".join(RAISED.get(note, note) for note in music)
            text = tune(number, f"On and On {number}", raised, key="A")
        elif number < 150:
            text = random_tune(number, rng)
        second.append(text)
    write(folder, {"a/first.abc": "".join(tunes[:150]), "b/second.abc": "".join(second)})
    return [str(folder / "a"), str(folder / "b")]


def test_versions_of_a_tune_stay_together_across_inputs_in_any_order(tmp_path):
    paths = books(tmp_path)
    manifest = conversion.convert("abc", paths, str(tmp_path / "r"), 2)
    assert manifest["read"] == 250 and manifest["rejected"] == 0
    assert manifest["tunes"] == {"groups": 200, "largest": 2}
    assert manifest["split_percent"] == (80, 10, 10)
    made = by_split(tmp_path / "r")
    assert set(made.values()) == set(SPLITS)
    for number in range(100, 150):
        assert made[f"a/first.abc/{number}"] == made[f"b/second.abc/{number}"]
    listed = {tune.id: tune for tune in read_tunes(tmp_path / "r")}
    assert {name: tune.split for name, tune in listed.items()} == made
    assert listed["a/first.abc/3"].title == "The Road to 3"
    shared = set(listed["a/first.abc/110"].keys) & set(listed["b/second.abc/110"].keys)
    assert shared
    conversion.convert("abc", paths[::-1], str(tmp_path / "s"), 2)
    assert contents(tmp_path / "r") == contents(tmp_path / "s")


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_runner_or_batches(tmp_path, monkeypatch):
    paths = books(tmp_path)
    conversion.convert("abc", paths, str(tmp_path / "r"), 3, pipeline_arguments=[])
    expected = contents(tmp_path / "r")
    conversion.convert("abc", paths, str(tmp_path / "q"), 3, pipeline_arguments=PROCESSES)
    assert contents(tmp_path / "q") == expected
    monkeypatch.setattr(beam_batches, "_MIN_BATCH", 1)
    monkeypatch.setattr(parts, "_PART_BYTES", 5000)
    monkeypatch.setattr(shards, "_MERGE_FILES", 4)
    conversion.convert("abc", paths, str(tmp_path / "s"), 3)
    assert contents(tmp_path / "s") == expected


def test_the_shares_can_be_chosen_where_a_corpus_has_none(tmp_path):
    paths = books(tmp_path)
    manifest = conversion.convert(
        "abc", paths, str(tmp_path / "r"), split_percent=(0, 100, 0), overwrite=True
    )
    assert manifest["splits"]["validation"]["records"] == 250
    with pytest.raises(UserError, match="--split_percent: groove has splits of its own"):
        conversion.convert("groove", "x", str(tmp_path / "g"), split_percent=(80, 10, 10))


# The real collections


@pytest.fixture(scope="module")
def real(corpora, tmp_path_factory):
    """All shared tunes, converted together."""
    output = tmp_path_factory.mktemp("real") / "r"
    paths = [str(corpora / "abc" / folder) for folder, _ in REAL.values()]
    return conversion.convert("abc", paths, str(output), 1), output


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_the_collections(corpora, tmp_path, name, capsys):
    folder, tunes = REAL[name]
    manifest = conversion.convert(
        name, str(corpora / "abc" / folder), str(tmp_path / "r"), pipeline_arguments=[]
    )
    assert manifest["read"] == tunes
    assert manifest["rejected"] <= 0.01 * tunes
    assert manifest["clean"] >= 0.9 * tunes
    assert "warning" not in capsys.readouterr().err.replace("carry warnings", "")


@pytest.mark.slow
def test_all_collections_together(real):
    manifest, output = real
    assert manifest["read"] == sum(tunes for _, tunes in REAL.values())
    made = by_split(output)
    assert len(made) == manifest["read"] - manifest["rejected"]
    shares = collections.Counter(made.values())
    assert abs(shares["train"] / len(made) - 0.8) < 0.03
    # Versions are found across the collections, and no group takes in unrelated tunes.
    assert 4100 < manifest["tunes"]["groups"] < 4400
    assert manifest["tunes"]["largest"] <= 20
    settings = [
        name
        for name, title in ((t.id, t.title) for t in read_tunes(output))
        if "cuckoo's nest" in title.lower()
    ]
    assert len(settings) >= 10 and len({made[name] for name in settings}) == 1
