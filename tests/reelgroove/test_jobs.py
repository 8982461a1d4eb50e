"""Jobs that Python code starts: their flags, results and errors, and the stop button."""

import os
import signal
import threading
import time

import pytest
from absl import flags

import reelgroove
from pipelines.demo import grooves
from reelgroove import jobs
from tests.support.jobs import ROOT

PROGRAM = "import sys\nprint('working', file=sys.stderr)\nprint('result')\n"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Writes a program that `jobs._run` finds by its name."""

    def write(text):
        (tmp_path / "a_program.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return "a_program"

    return write


def test_keywords_become_flags():
    given = {"a": 1, "b": None, "c": True, "d": False, "input": ["x", "y"], "f": ""}
    assert jobs._flags(given) == ["--a=1", "--c", "--nod", "--input=x", "--input=y", "--f="]


def test_a_list_is_a_flag_with_commas_unless_the_flag_is_repeated():
    lists = flags.FlagValues()
    flags.DEFINE_list("split_percent", None, "", flag_values=lists)
    flags.DEFINE_list("pipeline_options", None, "", flag_values=lists)
    flags.DEFINE_multi_string("taken", [], "", flag_values=lists)
    options = ["--runner=FnApiRunner", "--names=a,b"]
    given = {"split_percent": [80, 10, 10], "pipeline_options": options, "taken": ("x", "y,z")}
    lists(["convert", *jobs._flags(given)])
    assert lists.split_percent == ["80", "10", "10"]
    assert lists.pipeline_options == options
    assert lists.taken == ["x", "y,z"]


def test_warnings_are_those_that_run_sh_lets_through(program, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    found = jobs._run(program("import os\nprint(os.environ['PYTHONWARNINGS'])"), {}).strip()
    quiet = found.removesuffix(",error")
    assert quiet != found and f'quiet="{quiet}"' in (ROOT / "run.sh").read_text()


def test_results_are_returned_and_progress_is_shown(program, capsys):
    assert jobs._run(program(PROGRAM), {}) == "result\n"
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "working\n")


def test_an_error_is_raised_and_not_printed(program, capsys):
    text = "import sys\nprint('one', file=sys.stderr)\nsys.exit('error: x.mid: no music')"
    with pytest.raises(reelgroove.Error, match="^x.mid: no music$"):
        jobs._run(program(text), {})
    assert capsys.readouterr().err == "one\n"


def test_a_crash_shows_its_last_lines(program):
    with pytest.raises(RuntimeError, match="(?s)ended with status 1.*ZeroDivisionError"):
        jobs._run(program("1 / 0"), {})


def test_much_output_on_both_sides_does_not_block(program):
    text = (
        "import sys\nfor _ in range(20000):\n  print('x' * 20)\n  print('y' * 20, file=sys.stderr)"
    )
    assert len(jobs._run(program(text), {})) == 20000 * 21


@pytest.fixture
def heeding():
    """The handler of a process in the foreground, whatever started the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_stop_button_ends_the_job_too(program, tmp_path, heeding):
    text = (
        "import os, time\n"
        "try:\n"
        f"    open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        f"except KeyboardInterrupt:\n    open({str(tmp_path / 'told')!r}, 'w').close()\n"
    )
    name = program(text)

    def press():
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        jobs._run(name, {})
    finger.join()
    assert (tmp_path / "told").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.slow
def test_a_corpus_is_converted_and_its_manifest_returned(tmp_path):
    grooves.write_corpus(tmp_path / "corpus")
    output = tmp_path / "records"
    manifest = reelgroove.convert("groove", tmp_path / "corpus", output, num_shards=1)
    assert manifest["corpus"] == "groove" and manifest["splits"]["train"]["records"] > 0
    assert (output / "train.tfrecord-00000-of-00001").exists()
    with pytest.raises(reelgroove.Error, match="records"):
        reelgroove.convert("groove", tmp_path / "corpus", output)
    with pytest.raises(reelgroove.Error, match="num_shard"):
        reelgroove.convert("groove", tmp_path / "corpus", output, num_shard=1)


@pytest.mark.slow
def test_a_model_is_trained_from_a_folder_of_records(groove_records, tmp_path):
    hparams = {"batch_size": 8, "enc_rnn_size": [8], "dec_rnn_size": [8, 8], "z_size": 4}
    run_dir = tmp_path / "run"
    found = reelgroove.train("flat-groove_4bar", groove_records, run_dir, 2, hparams, seed=1)
    assert found == str(run_dir) and (run_dir / "train" / "model.ckpt-2.index").exists()
    with pytest.raises(reelgroove.Error, match="holds a run of flat-groove_4bar"):
        reelgroove.train("hierdec-groove_4bar", groove_records, run_dir, 2)
