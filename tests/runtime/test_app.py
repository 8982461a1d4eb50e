"""How jobs start and end."""

import errno
import json
import os
import stat
import subprocess
import sys

import pytest

from pipelines.runtime import app
from tests.support.jobs import ROOT, error_of, job

JOBS = [
    *("convert", "train", "evaluate", "generate", "attributes", "demo", "corpora", "bench"),
    "tensorboard",
]


@pytest.mark.parametrize("verb", JOBS)
def test_help_shows_an_example_and_succeeds(verb):
    done = job(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert f"./run.sh {verb}" in done.stdout
    assert not done.stderr


def test_the_list_of_corpora_as_json():
    listed = json.loads(job("corpora", "--json").stdout)["corpora"]
    lines = job("corpora").stdout.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        [each["name"], each["summary"]] for each in listed
    ]
    facts = {each["name"]: (each["pieces"], each["has_splits"]) for each in listed}
    assert facts["litten"] == (115, False) and facts["abc"] == (None, False)
    assert facts["groove"] == (None, True)


@pytest.mark.slow
def test_the_list_of_configs():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "configs"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stderr
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == sorted(names)
    assert {"flat-groove_4bar", "hierdec-groove_16bar", "cat-mel_2bar_small"} <= set(names)
    as_json = subprocess.run(
        [sys.executable, "-m", "configs", "--json"], env=environment, capture_output=True, text=True
    )
    assert [each["name"] for each in json.loads(as_json.stdout)["configs"]] == names


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--outputt=x"], "outputt"),
        (["--num_shards=many"], "num_shards"),
        (["stray"], "'stray' is not a flag"),
        ([], "missing --corpus, --input, --output"),
        (["--corpus=groove", "--input=/nonexistent", "--output=/proc/x"], "/proc/x"),
    ],
)
def test_bad_command_lines_end_in_one_line(arguments, message):
    done = job("convert", *arguments)
    assert message in error_of(done)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "verb, arguments, message",
    [
        ("train", ["--exampels_path=x"], "no flag --exampels_path; did you mean --examples_path?"),
        ("train", ["--nocache_datset"], "did you mean --nocache_dataset"),
        ("tensors", ["--dry-run"], "no flag --dry-run; did you mean --dry_run? (see --help)"),
        ("train", ["--zzzzz=1"], "there is no flag --zzzzz (see --help)"),
        (
            "train",
            ["--log=INF"],
            "--log=INF: must be DEBUG or INFO or WARN or ERROR or FATAL; did ",
        ),
        ("generate", ["--mode=smaple"], "grid; did you mean sample? (see --help)"),
        ("bench", ["trian", "--config=x"], "no benchmark is named 'trian'; did you mean train"),
    ],
)
def test_what_does_not_exist_is_answered_with_the_nearest(verb, arguments, message):
    assert message in error_of(job(verb, *arguments))


@pytest.mark.parametrize(
    "prints, reads",
    [
        ("print('few')", 0),  # fails when the output is flushed at the end
        ("for line in range(200_000): print(line)", 5),
        ("print('x' * 2_000_000)", 5),
    ],
)
def test_a_closed_pipe_ends_a_job_without_a_word(prints, reads):
    code = f"""
import sys, time
from pipelines.runtime import app
def main():
    sys.stdin.read()
    {prints}
app.run(main)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdin and process.stdout and process.stderr
        if not reads:
            process.stdout.close()
        process.stdin.close()
        if reads:
            process.stdout.read(reads)
            process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_closed_pipe_to_another_process_is_not_the_outputs():
    code = """
import os
from pipelines.runtime import app
def main():
    reading, writing = os.pipe()
    os.close(reading)
    os.write(writing, b"x")
app.run(main)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "Broken pipe" in error_of(done)


@pytest.mark.skipif(not stat.S_ISCHR(os.stat("/dev/full").st_mode), reason="no /dev/full here")
def test_a_full_disk_names_what_to_do():
    code = (
        "from pipelines.runtime import app\n"
        "def main():\n"
        "    with open('/dev/full', 'w') as file:\n"
        "        file.write('x')\n"
        "app.run(main)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "No space left on device" in error_of(done) and "space on its disk" in error_of(done)


ARGUMENTS = """
import os, sys
from absl import flags
from pipelines.runtime import app
from pipelines.runtime.flags import path_flags
flags.DEFINE_integer("count", 1, "a number")
flags.DEFINE_multi_string("name", [], "names")
def main(*arguments):
    print(arguments, flags.FLAGS.count, path_flags("name"))
app.run(main, required=("count",), with_arguments=sys.argv.pop(1) == "yes")
"""


def with_arguments(*arguments):
    """Runs a job that prints what it is called with."""
    return subprocess.run(
        [sys.executable, "-c", ARGUMENTS, *arguments],
        cwd=ROOT,
        env={**os.environ, "HOME": "/home/someone"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "arguments, printed",
    [
        ([], "([],) 1 []"),
        (["one", "two three", "--count=4"], "(['one', 'two three'],) 4 []"),
        (["--count=4", "one", "two three"], "(['one', 'two three'],) 4 []"),
        (["one", "--count", "4", "two"], "(['one', 'two'],) 4 []"),
        (["--count=2", "--", "-lively", "--count=3"], "(['-lively', '--count=3'],) 2 []"),
        (["", "-"], "(['', '-'],) 1 []"),
        (["Ó Néill 🎻"], "(['Ó Néill 🎻'],) 1 []"),
        (["--name=~/a", "x", "--name=", "--name", "b,c"],
         "(['x'],) 1 ['/home/someone/a', 'b,c']"),
    ],
)  # fmt: skip
def test_arguments_stand_before_and_after_flags(arguments, printed):
    done = with_arguments("yes", *arguments)
    assert done.returncode == 0 and done.stdout == f"{printed}\n", done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["yes", "-lively"], "lively"),
        (["yes", "one", "--cuont=3"], "cuont"),
        (["yes", "--count=x", "one"], "flag --count=x: must be a whole number (see --help)"),
        (["no", "one", "--count=3"], "'one' is not a flag"),
        (["no", "--count=3", "one"], "'one' is not a flag"),
        (["no", "--", "one"], "'one' is not a flag"),
    ],
)
def test_arguments_that_do_not_do(arguments, message):
    assert message in error_of(with_arguments(*arguments))


def test_what_is_in_the_way_is_told_with_a_fix():
    for reason, fix in (
        (errno.EEXIST, "File exists; name another path, or move away what is there"),
        (errno.ENOTDIR, "Not a directory; a file stands where the path has a folder; correct"),
        (errno.EISDIR, "Is a directory; a file is needed here; name one"),
        (errno.EACCES, "Permission denied; check the path, its permissions and the space on"),
    ):
        assert app.about_file("out", os.strerror(reason)).startswith(f"out: {fix}")


def test_a_job_without_arguments_is_called_with_none():
    done = with_arguments("no", "--count=3", "--name=a", "--name=a")
    assert done.returncode == 0 and done.stdout == "() 3 ['a', 'a']\n", done.stderr
