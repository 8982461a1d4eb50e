"""Folders, zip and tar archives, also damaged ones, and names that cannot be opened."""

import io
import json
import os
import pathlib
import random
import tarfile
import zipfile

import pytest

from pipelines.corpora import _archives, _tar
from pipelines.music.limits import Rejected
from pipelines.runtime.app import UserError
from tests.support import groove_release


@pytest.fixture
def release():
    return groove_release.release()


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
                    data = archive.read(name, 1000)
                    outcomes.add("read")
                    assert placed(path, name, archive.place(name)).read(name, 1000) == data
                except Rejected as rejected:
                    outcomes.add(rejected.reason)
        except UserError:
            outcomes.add("error")
    assert {"read", "unreadable", "error"} <= outcomes


SUFFIXES = {"tar": "w", "tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}


def write_tar(path, files, mode="w", **options):
    """Writes files, or members as `tarfile` knows them, into a tar archive; returns its path."""
    with tarfile.open(path, mode, **options) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = data
                archive.addfile(info)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_archive_is_read_as_a_folder_is(tmp_path, suffix, format):
    rng = random.Random(0)
    files = {f"BZh/{i}.mid": rng.randbytes(rng.randrange(30_000)) for i in range(9)}
    if format != tarfile.USTAR_FORMAT:
        files["x" * 300] = b"long"
    path = str(write_tar(tmp_path / f"a.{suffix}", files, SUFFIXES[suffix], format=format))
    archive, members, alone = _archives.list_files(path)
    assert (archive, members, alone) == (path, list(files), False)
    archive = _archives.open_archive(path)
    # In any order, and from any position on.
    for name in [*files, *reversed(files)]:
        assert archive.size(name) == len(files[name])
        assert archive.read(name, 30_000) == files[name]
        with archive.open(name) as file:
            file.seek(5)
            assert file.read(7) == files[name][5:12]
    assert list(archive.names("BZh/1")) == ["BZh/1.mid"]
    with pytest.raises(Rejected, match="too_large"):
        archive.read("BZh/0.mid", len(files["BZh/0.mid"]) - 1)
    with pytest.raises(Rejected, match="missing"):
        archive.read("BZh", 1)


def test_a_release_in_a_tar_archive_is_found(tmp_path, release):
    rows, files = release
    files = {
        "groove/info.csv": groove_release.table(rows),
        **{f"groove/{n}": files[n] for n in files},
    }
    path = write_tar(tmp_path / "groove.tgz", files, "w:gz")
    archive, root = _archives.find_archive(str(path), "info.csv")
    assert root == "groove/" and len(list(archive.names(root))) == 15


def test_members_of_a_tar_archive_that_are_no_files_or_lead_out_are_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    files = {
        "a": b"1",
        "../secret": b"2",
        "/etc/passwd": b"3",
        "link": (tarfile.SYMTYPE, str(tmp_path / "secret")),
        "hard": (tarfile.LNKTYPE, "a"),
        "device": (tarfile.CHRTYPE, ""),
        "folder": (tarfile.DIRTYPE, ""),
    }
    path = str(write_tar(tmp_path / "a.tar", files))
    archive = _archives.open_archive(path)
    reasons = {}
    for name in _archives.list_files(path)[1]:
        try:
            reasons[name] = archive.read(name, 10)
        except Rejected as rejected:
            reasons[name] = rejected.reason
    assert reasons == {
        "a": b"1",
        "../secret": "outside",
        "/etc/passwd": "outside",
        "link": "unreadable",
        "hard": "unreadable",
        "device": "unreadable",
    }


def test_tar_archives_that_unpack_to_far_too_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_tar, "_ALWAYS_BYTES", 1 << 16)
    small = write_tar(tmp_path / "a.tgz", {"zeros": b"\0" * 60_000}, "w:gz")
    assert _archives.list_files(str(small))[1] == ["zeros"]
    bomb = write_tar(tmp_path / "b.tgz", {"zeros": b"\0" * 1_000_000}, "w:gz")
    with pytest.raises(UserError, match="b.tgz is not a tar archive .it unpacks to more than"):
        _archives.list_files(str(bomb))
    # The name of a file is read into memory at once.
    named = write_tar(tmp_path / "c.tgz", {"x" * 2_000_000: b""}, "w:gz", format=tarfile.GNU_FORMAT)
    with pytest.raises(UserError, match="c.tgz is not a tar archive .a header of 20"):
        _archives.list_files(str(named))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_random_damage_to_a_tar_archive_is_a_rejection_or_one_error(tmp_path, suffix):
    rng = random.Random(0)
    files = {f"a/{i}.mid": rng.randbytes(3000) for i in range(3)}
    whole = write_tar(tmp_path / f"whole.{suffix}", files, SUFFIXES[suffix]).read_bytes()
    outcomes = set()
    for turn in range(100):
        damaged = bytearray(whole[: rng.randrange(len(whole))] if turn % 4 == 0 else whole)
        for _ in range(rng.randint(0, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path = tmp_path / f"{turn}.{suffix}"
        path.write_bytes(damaged)
        try:
            where, names, _ = _archives.list_files(str(path))
        except UserError:
            outcomes.add("error")
            continue
        archive = _archives.open_archive(where)
        for name in names:
            try:
                archive.read(name, 10_000)
                outcomes.add("read")
            except Rejected as rejected:
                outcomes.add(rejected.reason)
    assert (
        {"error"} <= outcomes <= {"error", "read", "unreadable", "missing", "too_large", "outside"}
    )
    assert suffix != "tar" or "read" in outcomes


def test_a_compressed_score_is_a_file_and_no_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "score.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", "x")
    assert _archives.list_files(str(tmp_path / "score.mxl"))[1:] == (["score.mxl"], True)


def test_a_tar_archive_with_a_size_below_zero_ends(tmp_path):
    first, second = tarfile.TarInfo("first"), tarfile.TarInfo("second")
    header = bytearray(second.tobuf(tarfile.GNU_FORMAT))
    # As many bytes before the end of this header as there are, in base 256.
    header[124:136] = b"\xff" * 10 + (0x10000 - 1024).to_bytes(2, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(first.tobuf() + bytes(header) + b"\0" * 1024)
    with pytest.raises(
        UserError, match="a.tar is not a tar archive .the size of 'second' is -1024"
    ):
        _archives.list_files(str(tmp_path / "a.tar"))


def test_an_address_is_told_from_a_path_with_nothing_at_it(tmp_path):
    for looked_for in (_archives.list_files, lambda path: _archives.find_archive(path, "info.csv")):
        with pytest.raises(UserError, match="tunes.zip is an address, and only those of s3"):
            looked_for("https://example.org/tunes.zip")
        with pytest.raises(UserError, match="tunes.zip does not exist; give a"):
            looked_for(str(tmp_path / "tunes.zip"))


# Places


METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def placed(path, name, place):
    return _archives.archive_of({"archive": str(path), "member": name, "place": place})


def test_a_worker_reads_a_member_at_its_place_without_the_directory(tmp_path, monkeypatch):
    rng = random.Random(0)
    files = {f"a/{name}.mid": rng.randbytes(3000) for name in ("plain", "Füße", "踊り", "é" * 30)}
    zips = [tmp_path / f"{method}.zip" for method in METHODS]
    for path, method in zip(zips, METHODS):
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    tars = [write_tar(tmp_path / f"a.{s}", files, mode) for s, mode in SUFFIXES.items()]
    places = {
        # As a worker gets it, from JSON.
        (path, name): json.loads(json.dumps(_archives.open_archive(str(path)).place(name)))
        for path in (*zips, *tars)
        for name in files
    }
    _archives._zip.cache_clear()
    _tar.opened.cache_clear()

    def never(*arguments, **more):
        raise AssertionError("the directory is read")

    monkeypatch.setattr(zipfile, "ZipFile", never)
    monkeypatch.setattr(_tar, "_index", never)
    for (path, name), place in places.items():
        archive = placed(path, name, place)
        assert archive.read(name, 3000) == files[name]
        assert archive.read(name, 3000, start=100) == files[name][100:]
        with pytest.raises(Rejected, match="too_large"):
            archive.read(name, 2999)


def test_a_member_that_is_no_longer_at_its_place_is_rejected(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.mid", b"first")
        archive.writestr("two.mid", b"other")
    place = _archives.open_archive(str(path)).place("two.mid")
    assert placed(path, "two.mid", place).read("two.mid", 9) == b"other"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("two.mid", b"other")
        archive.writestr("one.mid", b"first")
    for change in (None, lambda: path.write_bytes(path.read_bytes()[:50])):
        if change:
            change()
        with pytest.raises(Rejected, match="unreadable"):
            placed(path, "two.mid", place).read("two.mid", 9)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_a_member_of_a_tar_that_was_made_anew_is_read_where_it_is_now(tmp_path, suffix):
    files = {"one.mid": b"first", "two.mid": b"other"}
    path = write_tar(tmp_path / f"a.{suffix}", files, SUFFIXES[suffix])
    os.utime(path, ns=(0, 1))
    place = _archives.open_archive(str(path)).place("two.mid")
    write_tar(path, dict(reversed(files.items())), SUFFIXES[suffix])
    os.utime(path, ns=(0, 2))
    assert placed(path, "two.mid", place).read("two.mid", 9) == b"other"


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "folder"])
def test_an_input_that_a_worker_does_not_see_is_an_error_and_no_rejection(tmp_path, name):
    with pytest.raises(UserError, match=f"{name} is not there or may not be read; every worker"):
        placed(tmp_path / name, "one.mid", None)


def test_what_only_the_directory_can_tell_has_no_place(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("locked.mid", b"x")
    data = bytearray(path.read_bytes())
    # Says of it that it is encrypted, in its header and in the directory.
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + at] |= 1
    path.write_bytes(data)
    archive = _archives.open_archive(str(path))
    assert archive.place("locked.mid") is None and archive.place("none.mid") is None
    with pytest.raises(Rejected, match="encrypted"):
        placed(path, "locked.mid", None).read("locked.mid", 9)
    links = {"a": b"1", "link": (tarfile.SYMTYPE, "a")}
    path = write_tar(tmp_path / "a.tar", links)
    linked = _archives.open_archive(str(path))
    assert linked.place("link") is None
    assert linked.place("a") == (512, 1, path.stat().st_mtime_ns)
    (tmp_path / "a.mid").write_bytes(b"x")
    assert _archives.open_archive(str(tmp_path)).place("a.mid") is None
