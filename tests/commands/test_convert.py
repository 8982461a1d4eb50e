"""The `convert` command: its flags and errors, Ctrl-C, and workers that fail or are killed."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from pipelines.corpora import conversion
from pipelines.records.manifest import read_manifest
from tests.support import groove_release
from tests.support.jobs import ROOT
from tests.support.records import sequences

PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


@pytest.fixture
def release():
    return groove_release.release()


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
    """The lines on stderr without the result, and without progress, which slow machines show."""
    usual = re.compile(r"\d+ of \d+ (sources converted|kept \(.*)")
    return [line for line in done.stderr.splitlines() if not usual.fullmatch(line)]


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
        (["--corpus=grove", "--input=x", "--output=OUT"], "named 'grove'; did you mean groove"),
        (["--corpus=groove", "--input=/nowhere", "--output=OUT"], "/nowhere does not exist"),
        (["--corpus=groove", "--input=a", "--input=b", "--output=OUT"], "takes one --input, not 2"),
        (["--corpus=abc", "--input=", "--output=OUT"], "missing --input"),
        (["--corpus=abc", "--input=x", "--output=OUT", "--labels=y"], "--labels: --corpus=abc tak"),
        (["--corpus=midi", "--input=x", "--output=OUT"], "x does not exist; give a file, a folder"),
        (["--corpus=abc", "--input=x", "--output=OUT", "--split_percent=50,50"], "add up to 100"),
    ],
)
def test_the_commands_errors_are_one_line(tmp_path, flags, message):
    done = run(*[flag.replace("OUT", str(tmp_path / "r")) for flag in flags])
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent, status, last",
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_an_interrupted_job_ends_with_one_word(tmp_path, release, sent, status, last):
    archive = groove_release.write_zip(tmp_path / "z.zip", *release)
    script = tmp_path / "slow.py"
    # Reading takes long enough here to be interrupted, and says when it begins.
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
        # The handler that a terminal's process has, whatever started the tests.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    assert process.stdout.readline() == "reading\n"
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    *progress, word = err.splitlines()
    assert (process.returncode, word) == (status, last)
    assert all(line.endswith("sources converted") for line in progress)
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_several_inputs(tmp_path):
    """Paths by repeated flags and by commas, and a path with a comma in it."""
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


def test_help_has_an_example():
    done = run("--help")
    assert done.returncode == 0
    assert "./run.sh convert --corpus=groove --input=" in done.stdout


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
    assert ": File too large; check the path" in complaint
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["job", "worker", "all by Ctrl-C"])
def test_a_job_that_is_killed_and_a_worker_that_is(tmp_path, victim):
    # More than a batch, and large enough to kill a job in time: a worker takes seconds for each.
    rows = [groove_release.row(number) for number in range(30)]
    long = groove_release.midi_bytes(groove_release.hits(*[(36, 9, 0)] * 99_000))
    files = {row["midi_filename"]: long for row in rows}
    archive = groove_release.write_zip(tmp_path / "z.zip", rows, files)
    line, options = command(
        "--corpus=groove",
        f"--input={archive}",
        f"--output={tmp_path}/r",
        "--max_seconds=1e9",
        f"--pipeline_options={','.join(PROCESSES)}",
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with subprocess.Popen(line, **options) as job:
        deadline = time.monotonic() + 60
        workers = []
        while len(workers) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
            workers = [
                child
                for child in psutil.Process(job.pid).children()
                if "pipelines.corpora.worker" in child.cmdline()
            ]
        assert len(workers) == 2
        if victim == "job":
            job.kill()
        elif victim == "worker":
            workers[0].kill()
        else:
            # As a terminal does.
            os.killpg(job.pid, signal.SIGINT)
        stdout, stderr = job.communicate(timeout=120)
    assert stdout == ""
    if victim == "job":
        assert job.returncode == -signal.SIGKILL
    else:
        *progress, word = stderr.splitlines()
        if victim == "worker":
            assert job.returncode == 1
            assert word.startswith("error: a worker process was killed")
        else:
            assert (job.returncode, word) == (130, "interrupted")
        assert all(line.endswith("sources converted") for line in progress)
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    assert not (tmp_path / "r" / "manifest.json").exists()
    assert not list((tmp_path / "r").glob("*.tfrecord*"))
    small = groove_release.write_zip(tmp_path / "small.zip", *groove_release.release())
    conversion.convert("groove", str(small), str(tmp_path / "r"))
    assert len(sequences(tmp_path / "r")) == 14
