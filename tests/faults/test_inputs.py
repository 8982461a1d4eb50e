"""Inputs that are no plain files, or no longer what they were: each costs itself and nothing else.

A folder or zip with one sound tune and one hostile thing has to give the record that the tune alone
gives, and the hostile thing has to be counted, as rejected or as ignored.
"""

import json
import os
import pathlib
import socket
import stat
import struct
import tracemalloc
import zipfile

import pytest

from pipelines.corpora import conversion
from pipelines.records import beam_batches
from pipelines.runtime.app import UserError
from tests.support import groove_release
from tests.support.records import sequences

pytestmark = pytest.mark.slow

SOUND = "X:1\nT:The Sound Tune\nM:4/4\nL:1/8\nK:G\nGABc dedB|dedB dedB|c2ec B2dB|A2F2 G4|\n"
MEMORY = 400 << 20


def convert(where, output) -> dict:
    return conversion.convert("abc", str(where), str(output), 1, split_percent=(100, 0, 0))


def counted(output: pathlib.Path) -> dict[str, str]:
    """What was not kept, with the reason; its number has to be that of the manifest."""
    manifest = json.loads((output / "manifest.json").read_text())
    lists = {}
    for name, number in (("rejected", manifest["rejected"]), ("ignored", manifest.get("ignored"))):
        path = output / f"{name}.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        assert len(lines) == (number or 0)
        lists.update(
            {line["source"]: line.get("reason", "ignored") for line in map(json.loads, lines)}
        )
    kept = sum(split["records"] for split in manifest["splits"].values())
    assert manifest["read"] == kept + manifest["rejected"]
    return lists


@pytest.fixture
def books(tmp_path) -> pathlib.Path:
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "sound.abc").write_text(SOUND)
    return folder


@pytest.fixture
def alone(tmp_path, books):
    """The record of the sound tune alone."""
    convert(books, tmp_path / "alone")
    (sequence,) = sequences(tmp_path / "alone")
    return sequence


def fifo(folder):
    os.mkfifo(folder / "x.abc")
    return "x.abc"


def device(folder):
    (folder / "x.abc").symlink_to("/dev/zero")
    return "x.abc"


def device_itself(folder):
    try:
        os.mknod(folder / "x.abc", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")
    return "x.abc"


def listener(folder):
    with socket.socket(socket.AF_UNIX) as server:
        # The path of a socket may not be long.
        here = os.open(folder, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/x.abc")
        os.close(here)
    return "x.abc"


def circle(folder):
    (folder / "x.abc").symlink_to("y.abc")
    (folder / "y.abc").symlink_to("x.abc")
    return "x.abc"


def circle_of_folders(folder):
    (folder / "deep").mkdir()
    (folder / "deep" / "up").symlink_to("..")
    return "deep/up/"


def dangling(folder):
    (folder / "x.abc").symlink_to("nowhere")
    return "x.abc"


def sparse(folder, size=10 << 30):
    with open(folder / "x.abc", "wb") as file:
        file.truncate(size)
    return "x.abc"


def sparse_within_the_limit(folder):
    # As large as a file may be that is cut into slices: 64 of 64 MiB.
    return sparse(folder, 1 << 32)


def folder_of_that_name(folder):
    (folder / "x.abc").mkdir()
    (folder / "x.abc" / "cover.txt").write_text("no tune")
    return "x.abc/cover.txt"


def newline_in_name(folder):
    (folder / "new\nline.abc").write_text("no tune")
    return "new\nline.abc"


def no_utf8_in_name(folder):
    try:
        path = os.path.join(os.fsencode(folder), b"caf\xe9.abc")
        pathlib.Path(os.fsdecode(path)).write_text("no tune")
    except OSError:
        pytest.skip("this file system takes no such names")
    return os.fsdecode(b"caf\xe9.abc")


def nuls(folder):
    (folder / "x.abc").write_bytes(bytes(1000))
    return "x.abc"


HOSTILE = [
    fifo, device, device_itself, listener, circle, circle_of_folders, dangling, sparse,
    sparse_within_the_limit, folder_of_that_name, newline_in_name, no_utf8_in_name, nuls,
]  # fmt: skip


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_hostile_file_in_a_folder(tmp_path, books, alone, make):
    name = make(books)
    tracemalloc.start()
    try:
        convert(books, tmp_path / "records")
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    assert list(sequences(tmp_path / "records")) == [alone]
    lists = counted(tmp_path / "records")
    # Records and lists are UTF-8; what is none in a name is written out.
    shown = name.encode("utf-8", "backslashreplace").decode()
    assert any(shown in source or source in shown for source in lists), lists


@pytest.mark.parametrize(
    "make", [fifo, device, device_itself, listener, circle, dangling, sparse, nuls],
    ids=lambda make: make.__name__,
)  # fmt: skip
def test_a_hostile_file_as_the_input_is_one_line(tmp_path, books, make):
    with pytest.raises(UserError) as caught:
        convert(books / make(books), tmp_path / "records")
    assert "x.abc" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize("name", ["new\nline.abc", os.fsdecode(b"caf\xe9.abc"), "\x1b[2J.abc"])
def test_a_sound_tune_in_a_file_of_an_odd_name(tmp_path, name):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / name).write_text(SOUND)
    convert(tmp_path / "books", tmp_path / "records")
    (sequence,) = sequences(tmp_path / "records")
    assert len(sequence.notes) == 25 and sequence.id
    assert counted(tmp_path / "records") == {}


# Between listing and reading


@pytest.mark.parametrize("change", ["vanish", "grow", "shrink", "fifo", "replaced"])
def test_a_file_that_changes_after_it_was_listed(tmp_path, books, alone, monkeypatch, change):
    victim = books / "x.abc"
    victim.write_text(SOUND.replace("X:1", "X:2").replace("Sound", "Other") * 3)
    run = beam_batches.run

    def changed(*args, **kwargs):
        if change == "grow":
            with open(victim, "a") as file:
                file.write("\n" + SOUND.replace("X:1", "X:9").replace("Sound", "Late"))
        elif change == "shrink":
            victim.write_text(SOUND[:40])
        elif change == "replaced":
            victim.write_bytes(bytes(range(256)))
        else:
            victim.unlink()
            if change == "fifo":
                os.mkfifo(victim)
        return run(*args, **kwargs)

    monkeypatch.setattr(beam_batches, "run", changed)
    convert(books, tmp_path / "records")
    kept = list(sequences(tmp_path / "records"))
    assert alone in kept
    lists = counted(tmp_path / "records")
    expected = {"vanish": "missing", "fifo": "unreadable", "replaced": "not_text"}
    if change in expected:
        assert lists == {"x.abc": expected[change]} and kept == [alone]


# Zip archives


def zipped(path: pathlib.Path, members) -> pathlib.Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_members_that_explode_nest_and_lead_out(tmp_path, alone):
    inner = zipped(tmp_path / "inner.zip", [("deep.abc", SOUND)])
    path = zipped(
        tmp_path / "books.zip",
        [
            ("sound.abc", SOUND),
            ("bomb.abc", bytes(1 << 27)),
            ("nested.zip", inner.read_bytes()),
            ("../up.abc", SOUND),
            ("/absolute.abc", SOUND),
            ("C:/drive.abc", SOUND),
            ("..\\windows.abc", SOUND),
        ],
    )
    assert path.stat().st_size < 1 << 20
    before = sorted(tmp_path.rglob("*"))
    convert(path, tmp_path / "records")
    assert list(sequences(tmp_path / "records")) == [alone]
    lists = counted(tmp_path / "records")
    assert lists.pop("bomb.abc") == "too_large"
    assert lists.pop("nested.zip") in ("ignored", "not_text")
    assert set(lists.values()) == {"outside"} and len(lists) == 4
    made = {path for path in tmp_path.rglob("*") if tmp_path / "records" not in path.parents}
    assert made - {tmp_path / "records"} == set(before)


def test_an_encrypted_member(tmp_path, alone):
    path = zipped(tmp_path / "books.zip", [("sound.abc", SOUND), ("locked.abc", SOUND)])
    data = bytearray(path.read_bytes())
    # The lowest of the general purpose flags, in both headers of the second member.
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(signature) + offset] |= 1
    path.write_bytes(data)
    convert(path, tmp_path / "records")
    assert list(sequences(tmp_path / "records")) == [alone]
    assert counted(tmp_path / "records") == {"locked.abc": "unreadable"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_read_once(tmp_path):
    path = zipped(tmp_path / "books.zip", [("a.abc", SOUND), ("a.abc", SOUND), ("A.abc", SOUND)])
    manifest = convert(path, tmp_path / "records")
    assert manifest["read"] == 2
    assert len({sequence.id for sequence in sequences(tmp_path / "records")}) == 2


def test_seventy_thousand_members(tmp_path):
    """More than the 65,535 that a zip without its 64-bit extension can have."""
    path = zipped(
        tmp_path / "books.zip",
        [("sound.abc", SOUND), *((f"{number}.txt", b"") for number in range(70_000))],
    )
    manifest = convert(path, tmp_path / "records")
    assert manifest["ignored"] == 70_000 and manifest["read"] == 1


def test_a_zip_whose_directory_promises_more_than_there_is(tmp_path):
    path = zipped(tmp_path / "books.zip", [("a.abc", SOUND)])
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 8 : end + 12] = struct.pack("<HH", 65_000, 65_000)
    path.write_bytes(data)
    try:
        convert(path, tmp_path / "records")
    except UserError as error:
        assert "books.zip" in str(error)
    else:
        counted(tmp_path / "records")


# Tables


@pytest.fixture
def release():
    return groove_release.release()


@pytest.mark.parametrize("form", ["bom", "million columns", "nul", "million rows of nothing"])
def test_an_odd_table(tmp_path, release, form):
    rows, files = release
    folder = pathlib.Path(groove_release.write_folder(tmp_path / "groove", rows, files))
    table = folder / "info.csv"
    sound = table.read_bytes()
    if form == "bom":
        table.write_bytes(b"\xef\xbb\xbf" + sound)
    elif form == "nul":
        table.write_bytes(sound.replace(b"funk", b"fu\0nk", 1))
    elif form == "million columns":
        table.write_bytes(sound + b",".join([b"x"] * 1_000_000) + b"\n")
    else:
        table.write_bytes(sound + b"\n" * 1_000_000)
    try:
        manifest = conversion.convert("groove", str(folder), str(tmp_path / "records"), 1)
    except UserError as error:
        assert "info.csv" in str(error) and form in ("nul", "million columns")
        assert not (tmp_path / "records").exists()
        return
    lists = counted(tmp_path / "records")
    assert manifest["read"] == 14 + (form == "million columns")
    assert len(lists) <= 1


# Outputs


@pytest.mark.parametrize("output", ["/proc/records", "/dev/null", "/dev/null/records"])
def test_an_output_that_cannot_be_written(books, output):
    with pytest.raises((UserError, OSError)) as caught:
        convert(books, output)
    error = caught.value
    assert isinstance(error, UserError) or error.strerror
