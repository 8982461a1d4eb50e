"""The conversion of a corpus: the same bytes whatever runs it, bad files, limits, batches."""

import errno
import os

import mido
import pytest

from pipelines.corpora import conversion, worker
from pipelines.music import midi_reader
from pipelines.music.limits import Limits
from pipelines.records import beam_batches, tfrecord
from pipelines.records.manifest import read_manifest
from pipelines.runtime.app import UserError
from tests.support import groove_release
from tests.support.records import contents, rejections, sequences

PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


@pytest.fixture
def release():
    return groove_release.release()


def spoil(rows, files):
    """Damages the first pieces, all in the training split, in each way; returns the reasons."""
    on = mido.Message("note_on", channel=9, note=36)
    off = mido.Message("note_off", channel=9, note=36)
    bad = [
        (b"", "malformed"),
        (b"random bytes, really", "malformed"),
        (files[rows[2]["midi_filename"]][:40], "malformed"),
        (groove_release.midi_bytes([on, off.copy(time=2**31 - 1)]), "too_long"),
        (groove_release.midi_bytes([]), "no_notes"),
        (groove_release.midi_bytes(groove_release.hits(*[(36, 9, 0)] * 200)), "too_many_notes"),
        (None, "missing"),
    ]
    expected = {}
    for row, (data, reason) in zip(rows, bad, strict=False):
        expected[row["midi_filename"]] = reason
        if data is None:
            del files[row["midi_filename"]]
        else:
            files[row["midi_filename"]] = data
    return expected


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_runner_workers_batches_or_archive(
    tmp_path, release, monkeypatch
):
    rows, files = release
    spoil(rows, files)
    archive = str(groove_release.write_zip(tmp_path / "z.zip", rows, files))
    folder = str(groove_release.write_folder(tmp_path / "elsewhere" / "groove", rows, files))
    limits = Limits(max_notes=150)

    def convert(name, where, arguments):
        conversion.convert("groove", where, str(tmp_path / name), 3, limits, arguments)
        return contents(tmp_path / name)

    expected = convert("in process", archive, [])
    assert len(expected) == 2 + 2 + 2 + 3
    monkeypatch.setattr(beam_batches, "_MIN_BATCH", 2)
    assert convert("small batches", folder, []) == expected
    threads = ["--direct_running_mode=multi_threading", "--direct_num_workers=3"]
    assert convert("threads", folder, threads) == expected
    assert convert("processes", archive, PROCESSES) == expected


def test_bad_files_are_listed_and_the_rest_is_converted(tmp_path, release):
    rows, files = release
    expected = spoil(rows, files)
    archive = groove_release.write_zip(tmp_path / "z.zip", rows, files)
    manifest = conversion.convert(
        "groove", str(archive), str(tmp_path / "r"), 1, Limits(max_notes=150)
    )
    assert rejections(tmp_path / "r") == expected
    assert manifest == read_manifest(tmp_path / "r")
    assert (manifest["read"], manifest["rejected"]) == (14, 7)
    assert manifest["reasons"] == {
        "malformed": 3,
        "missing": 1,
        "no_notes": 1,
        "too_long": 1,
        "too_many_notes": 1,
    }
    assert {split: made["records"] for split, made in manifest["splits"].items()} == {
        "train": 2,
        "validation": 2,
        "test": 3,
    }
    assert manifest["limits"] == {"max_seconds": 1800.0, "max_notes": 150}
    kept = {sequence.filename for sequence in sequences(tmp_path / "r")}
    assert kept == {row["midi_filename"] for row in rows} - set(expected)


def test_the_default_limits_do_not_cost_a_long_performance(tmp_path, release):
    rows, files = release
    files[rows[0]["midi_filename"]] = groove_release.midi_bytes(
        groove_release.hits(*[(36, 9, 0)] * 11_513)
    )
    conversion.convert(
        "groove",
        str(groove_release.write_zip(tmp_path / "z.zip", rows, files)),
        str(tmp_path / "r"),
    )
    assert max(len(sequence.notes) for sequence in sequences(tmp_path / "r")) == 11_513


def test_nothing_kept_is_an_error(tmp_path, release):
    archive = groove_release.write_zip(tmp_path / "z.zip", *release)
    with pytest.raises(UserError, match="no record was kept out of 14 read .*too_long"):
        conversion.convert("groove", str(archive), str(tmp_path / "r"), 1, Limits(0.1))
    assert not (tmp_path / "r").exists()


def test_a_full_disk_is_one_error(tmp_path, release, monkeypatch):
    archive = groove_release.write_zip(tmp_path / "z.zip", *release)

    def full(file, record):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tfrecord, "write_record", full)
    with pytest.raises(UserError, match=r"/parts-\w+/.*: No space left on device; check the path"):
        conversion.convert("groove", str(archive), str(tmp_path / "r"))
    assert not (tmp_path / "r").exists()


def test_a_reader_that_does_not_end_is_one_error(tmp_path, release, monkeypatch):
    def endless(data, *limits):
        while True:
            pass

    monkeypatch.setattr(midi_reader, "midi_to_note_sequence", endless)
    monkeypatch.setattr(worker, "MAX_SECONDS_OF_PIECE", 0.3)
    archive = str(groove_release.write_zip(tmp_path / "z.zip", *release))
    with pytest.raises(UserError, match=r"^source '\S+': no piece of it was read in 0.3 seconds"):
        conversion.convert("groove", archive, str(tmp_path / "r"))
    assert not (tmp_path / "r").exists()
