"""The conversion as a whole: the same bytes whatever runs it, bad input, failures, the command."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time

import mido
import psutil
import pytest

import pipelines.corpora
from pipelines.corpora import Source, conversion, corpora
from pipelines.music.limits import Limits
from pipelines.music.note_sequence import NoteSequence
from pipelines.records import beam_batches, tfrecord
from pipelines.records.manifest import read_manifest, record_files
from pipelines.records.parts import read_batch
from pipelines.runtime import beam_runner
from pipelines.runtime.app import UserError
from tests.support import groove_release
from tests.support.jobs import ROOT

PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


@pytest.fixture
def release():
    return groove_release.release()


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def rejections(path):
    lines = (path / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return {line["source"]: line["reason"] for line in map(json.loads, lines)}


def sequences(path):
    return [
        NoteSequence.FromString(record)
        for file in record_files(f"{path}/*.tfrecord*")
        for record in tfrecord.read(file)
    ]


def spoil(rows, files):
    """Gives the first nine pieces, which are the training split, what can be wrong with files."""
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
    with pytest.raises(UserError, match="a worker failed: No space left on device: .*/parts/"):
        conversion.convert("groove", str(archive), str(tmp_path / "r"))
    assert not (tmp_path / "r").exists()


def test_beam_options_are_checked(tmp_path, release):
    archive = groove_release.write_zip(tmp_path / "z.zip", *release)
    for arguments, message in [
        (["--direct_num_worker=2"], "no option '--direct_num_worker=2'; nearest: --direct_num_w"),
        (["nonsense"], "no option 'nonsense'"),
        (["--direct_running_mode=other"], "invalid choice: 'other'"),
    ]:
        with pytest.raises(UserError, match=message):
            conversion.convert(
                "groove", str(archive), str(tmp_path / "r"), pipeline_arguments=arguments
            )


def test_large_corpora_get_processes(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert beam_runner.default_arguments(1150) == []
    assert beam_runner.default_arguments(4000)[1] == "--direct_num_workers=2"
    assert beam_runner.default_arguments(11500) == [
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=3",
    ]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert beam_runner.default_arguments(11500) == []


def test_a_corpus_is_one_new_file_and_its_sources_may_have_many_pieces(tmp_path, monkeypatch):
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "books.py").write_text(
        textwrap.dedent("""
        from pipelines.corpora import Corpus, Piece, Skipped, Source
        from pipelines.music.note_sequence import NoteSequence
        from pipelines.music.limits import Rejected

        def sources(where):
            yield Skipped("listed", "no_row", "left out when listing")
            for book in range(3):
                yield Source(f"book{book}", {"tunes": book * 4})

        def sequences(source, limits):
            if not source.facts["tunes"]:
                raise Rejected("empty", "a book without tunes")
            for tune in range(source.facts["tunes"]):
                key = f"{source.key}:{tune}"
                if tune == 2:
                    yield Skipped(key, "bad_tune", "cannot be sung")
                else:
                    yield Piece("test" if tune == 3 else "train", NoteSequence(id=key))

        CORPUS = Corpus("books", "Three books.", sources, sequences)
    """)
    )
    monkeypatch.setattr(
        pipelines.corpora, "__path__", [*pipelines.corpora.__path__, str(tmp_path / "plugin")]
    )
    before = list(corpora())
    corpora.cache_clear()
    try:
        assert list(corpora()) == sorted([*before, "books"])
        manifest = conversion.convert("books", "anywhere", str(tmp_path / "r"), 1)
    finally:
        corpora.cache_clear()
        sys.modules.pop("pipelines.corpora.books", None)
    # Book 0 as a whole, tune 2 of books 1 and 2, and what was skipped when listing: 4 rejected;
    # 3 + 7 tunes kept, tune 3 of either book for testing.
    assert (manifest["read"], manifest["rejected"]) == (14, 4)
    assert manifest["splits"]["train"]["records"] == 8
    assert manifest["splits"]["test"]["records"] == 2
    assert rejections(tmp_path / "r") == {
        "listed": "no_row",
        "book0": "empty",
        "book1:2": "bad_tune",
        "book2:2": "bad_tune",
    }


# The command


def command(*arguments, **options):
    return [sys.executable, "-m", "pipelines.convert", *arguments], {
        "text": True,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        **options,
    }


def run(*arguments, **options):
    line, options = command(*arguments, **options)
    return subprocess.run(line, timeout=300, **options)


def complaints(done):
    """Lines on stderr but for the result, and progress, which a busy machine is given."""
    usual = ("sources converted", "the others carry warnings")
    return [line for line in done.stderr.splitlines() if not line.endswith(usual)]


@pytest.mark.slow
def test_the_command(tmp_path, release):
    rows, files = release
    del files[rows[0]["midi_filename"]]
    archive = groove_release.write_zip(tmp_path / "z.zip", rows, files)
    flags = ["--corpus=groove", f"--input={archive}", f"--output={tmp_path}/r"]
    done = run(
        *flags,
        "--num_shards=2",
        "--max_seconds=60",
        "--max_notes=50",
        "--pipeline_options=--direct_running_mode=in_memory,--direct_num_workers=1",
    )
    assert (done.returncode, complaints(done)) == (0, [])
    manifest = json.loads(done.stdout)
    assert manifest == read_manifest(tmp_path / "r")
    assert manifest["splits"]["train"] == {"records": 8, "shards": 2}
    assert manifest["limits"] == {"max_seconds": 60.0, "max_notes": 50}

    again = run(*flags)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith("error: ") and again.stderr.count("\n") == 1
    assert "--overwrite" in again.stderr
    assert run(*flags, "--overwrite").returncode == 0


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--corpus=groove"], "missing --input, --output"),
        (["--corpus=grove", "--input=x", "--output=OUT"], "named 'grove'; nearest: groove"),
        (["--corpus=groove", "--input=/nowhere", "--output=OUT"], "/nowhere does not exist"),
        (["--corpus=groove", "--input=a", "--input=b", "--output=OUT"], "takes one --input, not 2"),
        (["--corpus=abc", "--input=", "--output=OUT"], "missing --input"),
        (["--corpus=abc", "--input=x", "--output=OUT", "--split_percent=50,50"], "add up to 100"),
    ],
)
def test_the_commands_errors_are_one_line(tmp_path, flags, message):
    done = run(*[flag.replace("OUT", str(tmp_path / "r")) for flag in flags])
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_ctrl_c_ends_with_one_word(tmp_path, release):
    archive = groove_release.write_zip(tmp_path / "z.zip", *release)
    script = tmp_path / "slow.py"
    # Reading that takes long enough to be interrupted, and says when.
    script.write_text(
        textwrap.dedent("""
        import runpy, sys, time
        import pipelines.music.midi_reader
        def slow(*args, **kwargs):
            print("reading", flush=True)
            time.sleep(60)
        pipelines.music.midi_reader.midi_to_note_sequence = slow
        runpy.run_module("pipelines.convert", run_name="__main__", alter_sys=True)
        """)
    )
    process = subprocess.Popen(
        [sys.executable, script, "--corpus=groove", f"--input={archive}", f"--output={tmp_path}/r"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        # As in a terminal, whatever the tests were started from.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout.readline() == "reading\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    *progress, word = err.splitlines()
    assert (process.returncode, word) == (130, "interrupted")
    assert all(line.endswith("sources converted") for line in progress)
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_several_inputs(tmp_path):
    """Paths by repeated flags and by commas, and a path that has a comma in it."""
    body = "M:4/4\nL:1/8\nK:G\nGABc dedB|dedB dedB|c2ec B2dB|A2F2 G4|\n"
    for number, name in enumerate(("a.abc", "b.abc", "c, d.abc"), start=1):
        (tmp_path / name).write_text(f"X:{number}\nT:Tune {number} of them\n{body}")
    done = run(
        "--corpus=abc",
        f"--input={tmp_path}/a.abc,{tmp_path}/b.abc",
        f"--input={tmp_path}/c, d.abc",
        f"--output={tmp_path}/r",
        "--split_percent=0,100,0",
    )
    assert (done.returncode, complaints(done)) == (0, [])
    assert "3 of 3 kept (100.0%); 3 of these are clean (100.0%)" in done.stderr
    manifest = json.loads(done.stdout)
    assert manifest["splits"]["validation"]["records"] == 3
    assert manifest["split_percent"] == [0, 100, 0]
    assert manifest["tunes"] == {"groups": 1, "largest": 3}
    ids = {sequence.id for sequence in sequences(tmp_path / "r")}
    assert ids == {"a.abc/1", "b.abc/2", "c, d.abc/3"}


def test_batches_are_of_equal_weight(tmp_path):
    weights = [1] * 30 + [100, 3, 40, 1] + [1] * 30
    listed = [Source(f"s{i}", {}, weight) for i, weight in enumerate(weights)]
    names = beam_batches.write(tmp_path, conversion._batches(listed))
    batches = [read_batch(tmp_path, name) for name in names]
    assert [source for batch in batches for source in batch] == [list(one) for one in listed]
    assert len(set(names)) == len(names)
    for batch in batches[:-1]:
        *others, last = [weight for _, _, weight in batch]
        assert sum(others) < 25 <= sum(others) + last


def test_help_has_an_example():
    done = run("--help")
    assert done.returncode == 0
    assert "./run.sh convert --corpus=groove --input=" in done.stdout


def test_corpora_are_listed():
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.corpora"], stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(corpora())
    assert "groove" in corpora()


def _small_files_only():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


@pytest.mark.slow
def test_what_goes_wrong_in_a_worker_process_is_one_error(tmp_path, release):
    rows, files = release
    files[rows[0]["midi_filename"]] = groove_release.midi_bytes(
        groove_release.hits(*[(36, 9, 0)] * 2000)
    )
    archive = groove_release.write_zip(tmp_path / "z.zip", rows, files)
    done = run(
        "--corpus=groove",
        f"--input={archive}",
        f"--output={tmp_path}/r",
        f"--pipeline_options={','.join(PROCESSES)}",
        preexec_fn=_small_files_only,
    )
    assert done.returncode == 1
    (complaint,) = complaints(done)
    assert complaint.startswith("error: a worker failed: File too large: ")
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["job", "worker"])
def test_a_job_that_is_killed_and_a_worker_that_is(tmp_path, release, victim):
    rows, files = release
    # Large enough to be at work for a while: one worker takes seconds for each of these.
    long = groove_release.midi_bytes(groove_release.hits(*[(36, 9, 0)] * 99_000))
    files = dict.fromkeys(files, long)
    archive = groove_release.write_zip(tmp_path / "z.zip", rows, files)
    line, options = command(
        "--corpus=groove",
        f"--input={archive}",
        f"--output={tmp_path}/r",
        "--max_seconds=1e9",
        f"--pipeline_options={','.join(PROCESSES)}",
    )
    with subprocess.Popen(line, **options) as job:
        deadline = time.monotonic() + 60
        workers = []
        while len(workers) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
            workers = [
                child
                for child in psutil.Process(job.pid).children()
                if "pipelines.runtime.beam_worker" in child.cmdline()
            ]
        assert len(workers) == 2
        if victim == "job":
            job.kill()
        else:
            workers[0].kill()
        stdout, stderr = job.communicate(timeout=120)
    assert stdout == ""
    if victim == "job":
        assert job.returncode == -signal.SIGKILL
    else:
        assert job.returncode == 1
        assert "error: a worker process was killed" in stderr
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    assert not (tmp_path / "r" / "manifest.json").exists()
    assert not list((tmp_path / "r").glob("*.tfrecord*"))
    small = groove_release.write_zip(tmp_path / "small.zip", *groove_release.release())
    conversion.convert("groove", str(small), str(tmp_path / "r"))
    assert len(sequences(tmp_path / "r")) == 14
