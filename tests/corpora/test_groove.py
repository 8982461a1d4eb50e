"""The Groove corpus: its sources, their labels, and releases that are damaged or incomplete."""

import json
import os
import zipfile

import note_seq
import pytest

from pipelines.corpora import Piece, Skipped, Source, _archives, conversion, corpora
from pipelines.music.limits import Limits, Rejected
from pipelines.runtime.app import UserError
from tests.support import groove_release
from tests.support.records import sequences

GROOVE = corpora()["groove"]


def listed(where):
    return list(GROOVE.sources([str(where)]))


def pieces(where):
    """What reading gives for each source key: a piece, or the reason of its rejection."""
    read = {}
    for source in listed(where):
        if isinstance(source, Skipped):
            read[source.key] = source.reason
            continue
        # A job passes sources on as JSON.
        source = Source(*json.loads(json.dumps(source)))
        try:
            (read[source.key],) = GROOVE.sequences(source, Limits())
        except Rejected as rejected:
            read[source.key] = rejected.reason
    return read


@pytest.fixture
def release():
    return groove_release.release()


@pytest.mark.parametrize("form", ["folder", "parent", "zip", "zip without folder"])
def test_a_release_is_read_from_its_zip_and_its_folder(tmp_path, release, form):
    if form == "folder":
        where = groove_release.write_folder(tmp_path / "groove", *release)
    elif form == "parent":
        groove_release.write_folder(tmp_path / "parent" / "groove", *release)
        (tmp_path / "parent" / "other.mid").write_bytes(b"not of the corpus")
        where = tmp_path / "parent"
    else:
        root = "groove/" if form == "zip" else ""
        where = groove_release.write_zip(tmp_path / "release.zip", *release, root=root)
    read = pieces(where)
    assert list(read) == [row["midi_filename"] for row in release[0]]
    assert [piece.split for piece in read.values()] == (
        ["train"] * 9 + ["validation"] * 2 + ["test"] * 3
    )


def test_labels(tmp_path):
    rows = [
        groove_release.row(
            7,
            style="latin/brazilian-baiao",
            beat_type="fill",
            time_signature="6-8",
            bpm="95",
            drummer="drummer9",
        )
    ]
    name = rows[0]["midi_filename"]
    data = groove_release.midi_bytes(groove_release.hits((36, 100, 0)))
    (piece,) = pieces(groove_release.write_zip(tmp_path / "z.zip", rows, {name: data})).values()
    sequence = piece.sequence
    assert sequence.id == "drummer1/session1/7"
    assert sequence.filename == "drummer1/session1/7_funk-groove1_138_beat_4-4.mid"
    assert sequence.collection_name == "groove"
    assert sequence.sequence_metadata.artist == "drummer9"
    assert list(sequence.sequence_metadata.genre) == ["latin", "brazilian-baiao"]
    assert [(a.time, a.text, a.annotation_type) for a in sequence.text_annotations] == [
        (0.0, "bpm=95", 0),
        (0.0, "beat_type=fill", 0),
        (0.0, "time_signature=6-8", 0),
    ]
    for field in ("id", "filename", "collection_name", "sequence_metadata", "text_annotations"):
        sequence.ClearField(field)
    assert sequence == note_seq.midi_to_note_sequence(data)


def test_a_table_and_files_that_do_not_agree(tmp_path, release):
    rows, files = release
    first, second, third, fourth, fifth, sixth, seventh = [r["midi_filename"] for r in rows[:7]]
    del files[first]
    files["drummer1/session1/without_row.MID"] = files[second]
    rows[1] |= {"split": "holdout"}
    rows[2] |= {"style": ""}
    rows.append(dict(rows[3]))
    rows.append({**rows[4], "midi_filename": "drummer1/session1/again.mid"})
    files["drummer1/session1/again.mid"] = files[fifth]
    files[sixth] = b""
    files[seventh] = files[seventh][:-9]
    expected = {
        first: "missing",
        "drummer1/session1/without_row.MID": "no_row",
        second: "bad_row",
        third: "bad_row",
        fourth: "duplicate",
        "drummer1/session1/again.mid": "duplicate",
        sixth: "malformed",
        seventh: "malformed",
    }
    for where in (
        groove_release.write_zip(tmp_path / "z.zip", rows, files),
        groove_release.write_folder(tmp_path / "groove", rows, files),
    ):
        found = listed(where)
        read = pieces(where)
        assert {key: reason for key, reason in read.items() if isinstance(reason, str)} == expected
        # The row that is named twice is read once.
        assert [isinstance(s, Skipped) for s in found if s.key == fourth] == [False, True]
        assert sum(isinstance(piece, Piece) for piece in read.values()) == 14 - 6


@pytest.mark.parametrize(
    "name",
    ["../evil.mid", "/tmp/evil.mid", "drummer1/../../../evil.mid", "..\\evil.mid", "C:/evil.mid"],
)
def test_names_that_point_outside_are_never_followed(tmp_path, release, name):
    rows, files = release
    good = files[rows[0]["midi_filename"]]
    (tmp_path / "evil.mid").write_bytes(good)
    rows[0]["midi_filename"] = name
    folder = groove_release.write_folder(tmp_path / "groove", rows, files)
    assert pieces(folder)[name] in ("outside", "missing")
    archive = groove_release.write_zip(tmp_path / "z.zip", rows, {**files, name: good}, root="")
    assert pieces(archive)[name] == "outside"
    before = sorted(tmp_path.rglob("*"))
    listed(archive)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_member_that_points_outside_without_a_row_is_rejected(tmp_path, release):
    archive = groove_release.write_zip(tmp_path / "z.zip", *release)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("../../evil.mid", b"x")
    read = pieces(archive)
    assert read.pop("../../evil.mid") == "outside"
    assert len(read) == 14


def test_links_out_of_the_folder_are_not_followed(tmp_path, release):
    rows, files = release
    folder = groove_release.write_folder(tmp_path / "groove", rows, files)
    name = rows[0]["midi_filename"]
    (folder / name).rename(tmp_path / "elsewhere.mid")
    (folder / name).symlink_to(tmp_path / "elsewhere.mid")
    inside = folder / rows[1]["midi_filename"]
    inside.rename(folder / "moved")
    inside.symlink_to(folder / "moved")
    read = pieces(folder)
    assert read[name] == "outside"
    assert isinstance(read[rows[1]["midi_filename"]], Piece)


def test_files_that_cannot_be_read_are_rejected(tmp_path, release, monkeypatch):
    rows, files = release
    folder = groove_release.write_folder(tmp_path / "groove", rows, files)
    names = [row["midi_filename"] for row in rows]
    (folder / names[0]).unlink()
    (folder / names[0]).mkdir()
    (folder / names[1]).unlink()
    os.mkfifo(folder / names[1])

    def closed(path, *args):
        if str(path).endswith(names[2]):
            raise PermissionError(13, "Permission denied", str(path))
        return open(path, *args)

    monkeypatch.setattr(_archives, "open", closed, raising=False)
    read = pieces(folder)
    assert [read[name] for name in names[:3]] == ["unreadable"] * 3
    assert isinstance(read[names[3]], Piece)


def test_a_damaged_member_is_rejected(tmp_path, release):
    rows, files = release
    archive = groove_release.write_zip(tmp_path / "z.zip", rows, files)
    name = rows[3]["midi_filename"]
    with zipfile.ZipFile(archive) as file:
        info = file.getinfo(f"groove/{name}")
    data = bytearray(archive.read_bytes())
    start = info.header_offset + 30 + len(info.filename)
    data[start + 20 : start + 24] = b"\xff\xff\xff\xff"
    archive.write_bytes(data)
    read = pieces(archive)
    assert read[name] == "unreadable"
    assert sum(isinstance(piece, Piece) for piece in read.values()) == 13


def test_a_member_that_unpacks_to_more_than_a_midi_file_may_have(tmp_path, release):
    rows, files = release
    name = rows[0]["midi_filename"]
    files[name] = bytes(50_000_000)
    archive = groove_release.write_zip(tmp_path / "bomb.zip", rows, files)
    assert archive.stat().st_size < 100_000
    assert pieces(archive)[name] == "too_large"


def test_inputs_that_are_no_release_are_one_error(tmp_path, release):
    rows, files = release
    folder = groove_release.write_folder(tmp_path / "groove", rows, files)

    def error(where):
        with pytest.raises(UserError) as caught:
            listed(where)
        message = str(caught.value)
        assert "\n" not in message
        return message

    assert "does not exist" in error(tmp_path / "nothing")
    assert "is not a zip archive" in error(folder / rows[0]["midi_filename"])
    assert "has no info.csv" in error(folder / "drummer1")
    whole = groove_release.write_zip(tmp_path / "z.zip", rows, files).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    assert "cut.zip is not a zip archive" in error(tmp_path / "cut.zip")
    table = folder / "info.csv"
    table.write_bytes(groove_release.table(rows, columns=["id", "split", "style"]))
    assert "no column drummer, bpm, beat_type, time_signature, midi_filename" in error(folder)
    table.write_bytes(b"\xff\xfe\x00")
    assert "info.csv cannot be read" in error(folder)
    table.write_bytes(b"")
    assert "no column" in error(folder)


def test_a_folder_that_may_not_be_listed_is_rejected_and_the_rest_read(
    tmp_path, release, monkeypatch
):
    folder = groove_release.write_folder(tmp_path / "groove", *release)
    before = listed(folder)
    real = os.scandir

    def closed(path):
        if str(path).endswith("drummer1"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    now = listed(folder)
    # The files in the table are listed all the same; reading them says what is wrong with each.
    assert [found for found in now if isinstance(found, Source)] == [
        found for found in before if isinstance(found, Source)
    ]
    assert Skipped("drummer1/", "unreadable", "the folder cannot be listed") in now


# The real dataset


@pytest.mark.slow
def test_the_groove_midi_dataset(corpora, tmp_path):
    manifest = conversion.convert(
        "groove", str(corpora / "groove-v1.0.0-midionly.zip"), str(tmp_path / "r")
    )
    assert manifest["read"] == 1150 and manifest["rejected"] == 0
    assert {split: made["records"] for split, made in manifest["splits"].items()} == {
        "train": 897,
        "validation": 124,
        "test": 129,
    }
    pieces = sequences(tmp_path / "r")
    assert sum(len(sequence.notes) for sequence in pieces) == 445_494
    assert len({sequence.id for sequence in pieces}) == 1150
    assert max(len(sequence.notes) for sequence in pieces) == 11_513
    # Counted in info.csv with `cut -d, -f1 | sort | uniq -c` and the like.
    assert sum(s.sequence_metadata.artist == "drummer1" for s in pieces) == 494
    assert sum("bpm=120" in [a.text for a in s.text_annotations] for s in pieces) == 86
    # rock, and rock/halftime, indie, groove8, shuffle, prog, folk, rockabilly.
    rock = 281 + 37 + 10 + 4 + 4 + 3 + 1 + 1
    assert sum(s.sequence_metadata.genre[0] == "rock" for s in pieces) == rock
    assert not any(str(tmp_path) in str(sequence) for sequence in pieces[:10])


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_other_midi_files_are_sent_to_another_corpus(tmp_path, form):
    data = groove_release.midi_bytes(groove_release.hits((36, 100, 0)))
    where = tmp_path / "mine"
    where.mkdir()
    (where / "a.mid").write_bytes(data)
    if form == "zip":
        where = tmp_path / "mine.zip"
        with zipfile.ZipFile(where, "w") as archive:
            archive.writestr("a.mid", data)
    with pytest.raises(
        UserError, match="has no info.csv.*Dataset with its table; other .*--corpus=midi"
    ):
        listed(where)
