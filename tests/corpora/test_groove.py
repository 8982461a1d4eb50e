"""The Groove corpus: what is listed, how it is labelled, and what is wrong with bad releases."""

import hashlib
import http.server
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import zipfile
from functools import partial

import note_seq
import pytest

from pipelines.corpora import Piece, Skipped, Source, _archives, conversion, corpora
from pipelines.music.limits import Limits, Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.records import tfrecord
from pipelines.records.manifest import record_files
from pipelines.runtime.app import UserError
from tests.support import groove_release

GROOVE = corpora()["groove"]


def listed(where):
    return list(GROOVE.sources([str(where)]))


def pieces(where):
    """Source keys and what their reading gives: pieces, or the reason of their rejection."""
    read = {}
    for source in listed(where):
        if isinstance(source, Skipped):
            read[source.key] = source.reason
            continue
        # Through JSON, as in a job.
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
    from pipelines.corpora import _archives

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
    assert "is no zip archive" in error(folder / rows[0]["midi_filename"])
    assert "has no info.csv" in error(folder / "drummer1")
    whole = groove_release.write_zip(tmp_path / "z.zip", rows, files).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    assert "cut.zip is no zip archive" in error(tmp_path / "cut.zip")
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
    # The files of the table are listed all the same; reading them says what is wrong with each.
    assert [found for found in now if isinstance(found, Source)] == [
        found for found in before if isinstance(found, Source)
    ]
    assert Skipped("drummer1/", "unreadable", "the folder cannot be listed") in now


def test_links_in_a_circle_and_impossible_names_are_rejected(tmp_path, release):
    rows, files = release
    folder = pathlib.Path(groove_release.write_folder(tmp_path / "groove", rows, files))
    loop = folder / rows[0]["midi_filename"]
    loop.unlink()
    loop.symlink_to(loop)
    archive, _ = _archives.find_archive(str(folder), "info.csv")
    for name in (rows[0]["midi_filename"], "drummer1/nul\0.mid"):
        with pytest.raises(Rejected) as raised:
            archive.read(name, 1000)
        assert raised.value.reason == "unreadable"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_random_damage_to_an_archive_is_a_rejection_or_one_error(tmp_path, method):
    rng = random.Random(0)
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for i in range(3):
            archive.writestr(f"a/{i}.mid", bytes(rng.randrange(256) for _ in range(200)))
        archive.writestr("info.csv", "x")
    whole = path.read_bytes()
    outcomes = set()
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.unlink()
        path.write_bytes(damaged)
        try:
            archive, root = _archives.find_archive(str(path), "info.csv")
            for name in archive.names(root):
                try:
                    archive.read(name, 1000)
                    outcomes.add("read")
                except Rejected as rejected:
                    outcomes.add(rejected.reason)
        except UserError:
            outcomes.add("error")
    assert {"read", "unreadable", "error"} <= outcomes


# TFDS


@pytest.fixture
def tfds_serving(tmp_path, monkeypatch):
    """A function that makes TFDS find an archive on loopback, its checksum known to it."""
    from tensorflow_datasets.core.download.checksums import UrlInfo
    from tensorflow_datasets.datasets.groove import groove_dataset_builder

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))
    servers = []

    def serve(archive: pathlib.Path):
        handler = partial(QuietHandler, directory=str(archive.parent))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{archive.name}"
        checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
        monkeypatch.setattr(groove_dataset_builder, "_DOWNLOAD_URL_MIDI_ONLY", url)
        monkeypatch.setitem(
            groove_dataset_builder.Builder.url_infos,
            url,
            UrlInfo(archive.stat().st_size, checksum, archive.name),
        )

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.mark.slow
def test_tfds_gives_the_records_that_the_zip_gives(tmp_path, release, tfds_serving, capfd):
    archive = groove_release.write_zip(tmp_path / "groove-v1.0.0-midionly.zip", *release)
    tfds_serving(archive)
    name = "tfds:groove/full-midionly"
    manifest = conversion.convert("groove", name, str(tmp_path / "a"), 2)
    assert manifest["read"] == 14 and manifest["rejected"] == 0
    assert capfd.readouterr().out == ""
    conversion.convert("groove", str(archive), str(tmp_path / "b"), 2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.slow
def test_the_real_dataset_through_tfds(corpora, tmp_path, tfds_serving):
    archive = corpora / "groove-v1.0.0-midionly.zip"
    tfds_serving(archive)
    conversion.convert("groove", "tfds:groove/full-midionly", str(tmp_path / "a"))
    conversion.convert("groove", str(archive), str(tmp_path / "b"))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.slow
def test_tfds_names_that_cannot_be_had(tmp_path, tfds_serving, release):
    with pytest.raises(UserError, match="use tfds:groove/full-midionly"):
        listed("tfds:groove/2bar-midionly")
    with pytest.raises(UserError, match="tfds:grove/x cannot be prepared"):
        listed("tfds:grove/x")
    archive = groove_release.write_zip(tmp_path / "gone.zip", *release)
    tfds_serving(archive)
    archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(UserError, match="cannot be prepared .*give the release's zip"):
        listed("tfds:groove/full-midionly")
    archive.unlink()
    with pytest.raises(UserError, match="give the release's zip"):
        listed("tfds:groove/full-midionly")


def test_workers_read_tfds_without_tensorflow():
    script = (
        "import sys\n"
        "from pipelines.corpora import _tfds\n"
        "_tfds._example_class()\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)


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
    sequences = [
        NoteSequence.FromString(record)
        for path in record_files(f"{tmp_path}/r/*.tfrecord*")
        for record in tfrecord.read(path)
    ]
    assert sum(len(sequence.notes) for sequence in sequences) == 445_494
    assert len({sequence.id for sequence in sequences}) == 1150
    assert max(len(sequence.notes) for sequence in sequences) == 11_513
    # Counted in info.csv with `cut -d, -f1 | sort | uniq -c` and the like.
    assert sum(s.sequence_metadata.artist == "drummer1" for s in sequences) == 494
    assert sum("bpm=120" in [a.text for a in s.text_annotations] for s in sequences) == 86
    # rock, and rock/halftime, indie, groove8, shuffle, prog, folk, rockabilly.
    rock = 281 + 37 + 10 + 4 + 4 + 3 + 1 + 1
    assert sum(s.sequence_metadata.genre[0] == "rock" for s in sequences) == rock
    assert not any(str(tmp_path) in str(sequence) for sequence in sequences[:10])
