"""The commands on buckets: the bytes of a local run; a kill leaves nothing that looks finished."""

import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile

import mido
import pytest

from pipelines.corpora import conversion
from pipelines.judge import batches, reading, worker
from pipelines.runtime import beam_files, storage
from pipelines.runtime.app import UserError
from tests.support.buckets import ENVIRONMENT
from tests.support.jobs import ROOT, error_of, job
from tests.support.records import contents
from tests.support.tunebooks import abc, tunes

pytestmark = pytest.mark.slow
PROCESSES = "--direct_running_mode=multi_processing,--direct_num_workers=2"


def midi(seed):
    """A MIDI file of a short melody."""
    track = mido.MidiTrack()
    for i in range(20):
        pitch = 60 + (i * seed) % 13
        track.append(mido.Message("note_on", note=pitch, velocity=80))
        track.append(mido.Message("note_off", note=pitch, time=240))
    file = io.BytesIO()
    mido.MidiFile(tracks=[track]).save(file=file)
    return file.getvalue()


def test_a_zip_of_midi_in_worker_processes(bucket, tmp_path, monkeypatch, s3_server):
    """The server is named by an option alone, which the worker processes are given too."""
    local = tmp_path / "music.zip"
    with zipfile.ZipFile(local, "w", zipfile.ZIP_DEFLATED) as archive:
        for seed in range(1, 61):
            archive.writestr(f"{seed % 3}/{seed}.mid", midi(seed))
        archive.writestr("0/damaged.mid", b"MThd" + bytes(20))
    bucket.put("in/music.zip", local.read_bytes())
    conversion.convert("midi", str(local), str(tmp_path / "r"))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    done = job(
        "convert",
        "--corpus=midi",
        f"--input={bucket.address}/in/music.zip",
        f"--output={bucket.address}/r/",
        f"--pipeline_options={PROCESSES},--s3_endpoint_url={s3_server}",
    )
    assert done.returncode == 0, done.stderr
    assert bucket.contents("r/") == contents(tmp_path / "r")
    assert ENVIRONMENT["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
    # What was there is not replaced, whatever the runner.
    again = job(
        "convert",
        "--corpus=midi",
        f"--input={bucket.address}/in/music.zip",
        f"--output={bucket.address}/r",
        f"--pipeline_options=--s3_endpoint_url={s3_server}",
    )
    assert f"{bucket.address}/r holds the records of an older run" in error_of(again)


def test_a_folder_of_tunebooks_and_a_table_of_labels(bucket, tmp_path):
    books = {"a/one.abc": "", "two.abc": "", "a/readme.txt": "No tune.", ".hidden/x.abc": "X:1\n"}
    for seed, name in enumerate(list(books)[:2]):
        for number, tune in enumerate(tunes(seed, 12), start=1):
            books[name] += abc(number, tune.title, tune.strains[0]) + "\n"
    for name, text in books.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        bucket.put(f"in/{name}", text.encode())
    conversion.convert("abc", str(tmp_path / "in"), str(tmp_path / "r"))
    manifest = conversion.convert("abc", f"{bucket.address}/in", f"{bucket.address}/r")
    assert manifest["read"] == 24
    assert bucket.contents("r/") == contents(tmp_path / "r")
    # A file by itself, and a folder that is on this machine.
    where = [f"{bucket.address}/in/two.abc", str(tmp_path / "in" / "a")]
    assert conversion.convert("abc", where, f"{bucket.address}/s")["read"] == 24
    # Labels.
    table = b"file,style\n1.mid,march\n"
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "1.mid").write_bytes(midi(5))
    (tmp_path / "labels.csv").write_bytes(table)
    bucket.put("m/1.mid", midi(5))
    labels = bucket.put("labels.csv", table)
    here = str(tmp_path / "labels.csv")
    conversion.convert("midi", str(tmp_path / "m"), str(tmp_path / "t"), labels=here)
    conversion.convert("midi", f"{bucket.address}/m", f"{bucket.address}/t", labels=labels)
    assert bucket.contents("t/") == contents(tmp_path / "t")


def test_tunes_are_judged(bucket, tmp_path):
    """A folder with scores in it, an archive and a single file; what is written is read nowhere."""
    books = tmp_path / "in"
    (books / "a").mkdir(parents=True)
    found = [abc(i, t.title, t.strains[0]) for i, t in enumerate(tunes(3, 6), start=1)]
    (books / "a" / "one.abc").write_text("\n".join(found[:4]))
    (books / "a" / "one.mid").write_bytes(midi(3))  # Beside notation of its name.
    (books / "b.abc").write_text("\n".join(found[4:]) + "\nX:9\nK:C\nz8|\n")
    (books / "letter.txt").write_text(found[0])
    (books / "score.mid").write_bytes(midi(5))
    (books / "bad.mid").write_bytes(b"MThd" + bytes(4))
    packed = shutil.make_archive(str(tmp_path / "books"), "zip", books)
    for path in filter(pathlib.Path.is_file, books.rglob("*")):
        bucket.put(f"in/{path.relative_to(books)}", path.read_bytes())
    bucket.put("books.zip", pathlib.Path(packed).read_bytes())
    settings = ("", ["rhythm", "melody"], [])

    here = [str(books), packed, str(books / "b.abc")]
    path, counts = batches.judge(here, str(tmp_path / "out"), settings)
    there = [f"{bucket.address}/{name}" for name in ("in", "books.zip", "in/b.abc")]
    for name, options in ("out", []), ("two", PROCESSES.split(",")):
        address, same = batches.judge(there, f"{bucket.address}/{name}/", settings, options)
        assert address == f"{bucket.address}/{name}/verdicts.jsonl"
        assert same == counts and sum(counts.values()) == (4 + 3 + 2) + (4 + 3) + 3
        assert list(bucket.contents(f"{name}/")) == ["verdicts.jsonl"]
        told = bucket.contents(f"{name}/")["verdicts.jsonl"].decode()
        told = told.replace(there[0], here[0]).replace(there[1], here[1])
        assert told == pathlib.Path(path).read_text()

    arguments = ["judge", there[0], f"--output={bucket.address}/out"]
    assert f"{address.replace('two', 'out')} exists; name another --output" in error_of(
        job(*arguments)
    )
    done = job(*arguments, "--overwrite", "--criteria=rhythm")
    assert done.returncode == 0 and done.stdout == f"{bucket.address}/out/verdicts.jsonl\n"
    assert b"melody" not in bucket.contents("out/")["verdicts.jsonl"]
    for given, told in (
        ("nothing", "nothing: there is no such bucket, or no such file or folder in it"),
        ("letters", "letters: no file ends in .abc"),
        ("twice", "twice: names in it differ by slashes alone"),
    ):
        bucket.put("letters/a.txt", b"A")
        bucket.put("twice/x/a.abc", found[0].encode())
        bucket.put("twice/x//a.abc", found[1].encode())
        with pytest.raises(UserError, match=told):
            batches.judge([f"{bucket.address}/{given}/"], str(tmp_path / "x"), settings)
    bucket.put("r/manifest.json", b"{}")
    with pytest.raises(UserError, match="/r holds records; name another --output$"):
        batches.judge([there[2]], f"{bucket.address}/r", settings, overwrite=True)
    for flag in ("against", "judge"):
        line = error_of(job("judge", str(books), f"--{flag}={there[0]}", "--output=o"))
        assert "name what is on a disk" in line
    with pytest.raises(UserError, match="in/b.abc: only what is judged with --output=DIR is read"):
        reading.files_of([there[2]])


def test_a_folder_of_tunebooks_is_listed_and_none_of_them_fetched(bucket, tmp_path, monkeypatch):
    """Also a folder that a web page made, which is an object of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    bucket.put("in/", b"")
    bucket.put("in/deep/", b"")
    text = abc(1, "A", tunes(1, 1)[0].strains[0]).encode()
    for number in range(30):
        bucket.put(f"in/deep/{number:02d}.abc", text)
    for given in ("in", "in/"):
        sources = list(batches._sources([f"{bucket.address}/{given}"]))
        files = [source.facts["file"] for source in sources]
        assert files == [f"{bucket.address}/in/deep/{number:02d}.abc" for number in range(30)]
    assert list(tmp_path.iterdir()) == []
    [tune] = worker._tunes(sources[7])
    assert tune.file == files[7] and tune.title == "A"
    # `convert` reads it, too.
    manifest = conversion.convert("abc", f"{bucket.address}/in/", str(tmp_path / "r"))
    assert manifest["read"] == 30


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_is_killed_leaves_no_manifest_and_is_repeated(
    bucket, tmp_path, how, monkeypatch
):
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    text = "\n".join(abc(i, t.title, t.strains[0]) for i, t in enumerate(tunes(1, 900), start=1))
    (tmp_path / "in.abc").write_text(text)
    address = bucket.put("in.abc", text.encode())
    arguments = ["--corpus=abc", f"--input={address}", f"--output={bucket.address}/r"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.convert", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while not any("/parts/batch-" in name and ".json" in name for name in bucket.names("r/")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(how)
    process.wait(120)
    left = bucket.names("r/")
    assert process.returncode and "manifest.json" not in left
    assert bool(left) == (how == signal.SIGKILL)
    left = list(scratch.glob("reelgroove-*/folder-*"))
    assert bool(left) == (how == signal.SIGKILL)
    conversion.convert("abc", str(tmp_path / "in.abc"), str(tmp_path / "r"))
    conversion.convert("abc", address, f"{bucket.address}/r")
    assert bucket.contents("r/") == contents(tmp_path / "r")
    assert not list(scratch.glob("reelgroove-*/folder-*"))


def test_one_line_for_bad_input(bucket, tmp_path):
    tune = tmp_path / "in.abc"
    tune.write_text(abc(1, "A", tunes(1, 1)[0].strains[0]))
    for given, output, told in [
        ("s3://not-there/in.abc", tmp_path / "r", "s3://not-there/in.abc: there is no such bucket"),
        (f"{bucket.address}/no.abc", tmp_path / "r", "no.abc: there is no such bucket, or no such"),
        (tune, "s3://not-there/r", "s3://not-there/r/.*there is no such bucket"),
    ]:
        done = job("convert", "--corpus=abc", f"--input={given}", f"--output={output}")
        line = error_of(done)
        assert told.replace(".*", "") in line or all(part in line for part in told.split(".*"))
    assert not (tmp_path / "r").exists()


@pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")
def test_addresses_of_google(gs_bucket, tmp_path):
    text = "\n".join(abc(i, t.title, t.strains[0]) for i, t in enumerate(tunes(1, 9), start=1))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "in.abc").write_text(text)
    options = ["--no_auth"]
    beam_files.configure(options)
    storage.send(tmp_path / "in" / "in.abc", f"{gs_bucket}/in/in.abc")
    conversion.convert("abc", str(tmp_path / "in"), str(tmp_path / "r"))
    for _ in range(2):
        conversion.convert(
            "abc", f"{gs_bucket}/in", f"{gs_bucket}/r", pipeline_arguments=options, overwrite=True
        )
        names = [
            file.address.removeprefix(f"{gs_bucket}/r/")
            for file in storage.files_in(f"{gs_bucket}/r")
        ]
        assert {name: storage.read(f"{gs_bucket}/r/{name}") for name in names} == contents(
            tmp_path / "r"
        )
    with pytest.raises(UserError, match="gs://not-there/r.*there is no such bucket"):
        conversion.convert("abc", f"{gs_bucket}/in", "gs://not-there/r", pipeline_arguments=options)
