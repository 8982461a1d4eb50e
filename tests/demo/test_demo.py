"""The demo, from end to end, with few steps; and how it runs its jobs."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from pipelines.audio import synthesis
from pipelines.music.abc import reader, tunebook
from tests.support.jobs import ROOT, job
from tests.support.sockets import watching


@pytest.mark.slow
def test_the_whole_chain(tmp_path):
    output = tmp_path / "de mo"
    for _ in range(2):  # The second time finds the first one's work.
        with watching(0.5) as seen:
            done = job(
                "demo", f"--output={output}", "--num_steps=2", "--num_tune_steps=2", cwd=tmp_path
            )
        assert done.returncode == 0, done.stderr
        assert not seen.listeners
        for verb in ("convert", "train", "evaluate", "generate"):
            assert done.stdout.count(f"$ ./run.sh {verb} ") >= 2
        assert "$ ./run.sh titles train " in done.stdout
        assert len(re.findall(r"^\(train: \d+ s\)$", done.stdout, re.MULTILINE)) == 2
        assert re.search(r"^== done, in \d+ s$", done.stdout, re.MULTILINE)
        pages = done.stdout.splitlines()[-4:]
        made = (("tunes", "music"), ("grooves", "music"), ("first",), ("tunes", "whole"))
        places = [output.joinpath(*parts) for parts in made]
        assert pages == [str(place / "index.html") for place in places]
        assert all(pathlib.Path(page).is_file() for page in pages)
    assert done.stderr.count("nothing left to do") == 3
    # The generated pieces have titles, each of which is either known or new.
    matches = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 3]
    assert len(matches) % 3 == 0 and 3 <= len(matches) <= 12
    ideas = (output / "tunes" / "ideas.txt").read_text().splitlines()
    assert {status for _, _, status, _ in matches} <= {"new", "exists"}
    assert {title for *_, title in matches} <= set(ideas)
    # A trained model plays first. The best of the demo's own models comes before its samples.
    first, *later, whole = re.findall(r"^\$ \./run\.sh generate (.*)$", done.stdout, re.MULTILINE)
    assert "--pretrained=groove_4bar" in first
    modes = [re.search(r"--mode=(\w+)", line)[1] for line in later]
    assert modes == ["reconstruct", "interpolate", "sample", "sample"]
    assert done.stdout.index(first) < done.stdout.index("$ ./run.sh convert ")
    assert len(list((output / "first").glob("*.mid"))) == 4
    # A trained model writes a whole tune last, and its title is one of the ideas.
    assert "--pretrained=tunes" in whole and "--form=AABB" in whole
    (path,) = (output / "tunes" / "whole").glob("*.abc")
    title = re.search(r"^T:(.*)$", path.read_text(), re.MULTILINE)[1]
    assert title in ideas and f"a whole jig: {title} " in done.stdout
    # The drums are a reconstruction, five steps from one groove to another, and four samples.
    for kind, read, pieces in (("grooves", 260, 10), ("tunes", 365, 4)):
        place = output / kind
        manifest = json.loads((place / "records" / "manifest.json").read_text())
        assert manifest["read"] == read == sum(s["records"] for s in manifest["splits"].values())
        assert len(list((place / "music").glob("*.mid"))) == pieces
        assert len(list((place / "music").glob("*.png"))) == pieces
        if synthesis.is_installed():
            assert len(list((place / "music").glob("*.mp3"))) == pieces
    assert f"{measured(output / 'grooves')['f1']:.3f} decoded from z, sampled" in done.stdout
    right = measured(output / "tunes")["onset_accuracy"]
    assert f"{right:.3f} decoded from z, sampled" in done.stdout
    # A model of two steps may be silent, and then writes no notation.
    for path in (output / "tunes" / "music").glob("*.abc"):
        (tune,) = tunebook.tunes(tunebook.decode(path.read_bytes()))
        assert reader.read(tune).notes

    # What ran in forks gives what the commands give that were shown.
    command = re.search(r"\$ \./run\.sh train (--config=flat-reel.*)", done.stdout)[1]
    apart = tmp_path / "apart"
    arguments = command.replace("'", "").replace(str(output / "tunes" / "run"), str(apart / "run"))
    assert job("train", *re.split(r" (?=--)", arguments)).returncode == 0
    examples = f"--examples_path={output}/tunes/records/validation.tfrecord*"
    assert job("evaluate", f"--run_dir={apart}/run", examples).returncode == 0
    assert measured(apart) == measured(output / "tunes")


def measured(place):
    """The metrics of what was sampled, after two steps."""
    return json.loads((place / "run" / "eval" / "validation-step-2.json").read_text())["sampled"]


@pytest.mark.slow
def test_a_failing_job_ends_the_demo(tmp_path):
    (tmp_path / "grooves" / "corpus").mkdir(parents=True)
    done = job("demo", f"--output={tmp_path}")
    assert done.returncode == 1
    assert "info.csv" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: convert failed; the lines above say why")


@pytest.mark.slow
def test_a_job_in_a_fork_has_flags_output_and_status_of_its_own(tmp_path):
    program = tmp_path / "program.py"
    # Two flags of evaluate have the names of the program's.
    program.write_text(f"""
import sys
from absl import flags
from pipelines.demo import forked_jobs
from pipelines.runtime import app
flags.DEFINE_integer("seed", 1, "Of this program.")
flags.DEFINE_string("run_dir", "mine", "Of this program.")
def main():
    print("before")
    print(forked_jobs.run("evaluate", ["--run_dir=nowhere", "--examples_path=x"]))
    print(forked_jobs.run("evaluate", ["--help"], {str(tmp_path / "help")!r}))
    print(forked_jobs.run("corpora", [], {str(tmp_path / "corpora")!r}))
    print(flags.FLAGS.seed, flags.FLAGS.run_dir)
    # Forks have the GPU only as long as this process has not looked for it.
    from tensorflow.python.eager import context
    print(context.context()._initialized)
app.run(main)
""")
    ran = subprocess.run(
        [sys.executable, program, "--seed=7"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["before", "1", "0", "0", "7 mine", "False"]
    assert ran.stderr.startswith("error: nowhere: no such run folder")
    assert "--temperature" in (tmp_path / "help").read_text()
    assert "groove" in (tmp_path / "corpora").read_text()


@pytest.mark.slow
def test_the_chain_of_sounds(tmp_path):
    output = tmp_path / "so unds"
    done = job("style", "demo", f"--output={output}", "--num_steps=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for step in ("render", "separate --method=net", "train", "convert", "evaluate"):
        assert f"$ ./run.sh style {step} " in done.stdout
    rows = re.findall(r"^\| (\w[\w ]*) \| ([\d.]+) \[", done.stdout, re.MULTILINE)
    distances = {name: float(value) for name, value in rows}
    assert distances["target through mels"] < distances["knn"] < distances["another target"]
    hpss, net = (float(re.search(rf"^ *([-\d.]+) by {each}$", done.stdout, re.MULTILINE)[1])
                 for each in ("hpss", "net"))  # fmt: skip
    assert net > hpss + 2
    places = done.stdout.splitlines()[-6:]
    assert places[0] == str(output / "song.wav") and all(map(os.path.exists, places))
