"""What jobs show on a terminal, from a corpus to music."""

import re
import sys

import pytest

from pipelines.demo import grooves
from tests.support import pseudo_terminal
from tests.support.trained import TINY

_BAR = re.compile(r"[A-Za-z ]+: +\d+%\|")


def shown(verb, *flags, **settings):
    """What the user of a job sees, once it was checked that no line tore a bar."""
    command = [sys.executable, "-m", f"pipelines.{verb}", *flags]
    # So wide that the path of a temporary folder fits in a line.
    seen = pseudo_terminal.run(command, columns=240, **settings)
    assert seen.status == 0, seen.lines
    assert seen.cursor_is_ready
    for line in seen.lines:
        bar = _BAR.search(line)
        assert bar is None or bar.start() == 0, line
        assert "\ufffd" not in line
    return seen


@pytest.mark.slow
def test_bars_from_the_corpus_to_music(tmp_path):
    grooves.write_corpus(tmp_path / "corpus")
    records, tensors, run_dir = (tmp_path / name for name in ("records", "tensors", "run"))

    corpus = [f"--input={tmp_path}/corpus", f"--output={records}"]
    seen = shown("convert", "--corpus=groove", *corpus, stdout_is_terminal=False)
    assert any(line.startswith("sources converted:") for line in seen.ever)
    # The manifest and nothing else.
    assert seen.stdout.startswith(b"{") and b"\r" not in seen.stdout

    config = "--config=flat-groove_4bar"
    seen = shown("tensors", config, f"--input={records}", f"--output={tensors}")
    assert any(re.match(r"NoteSequences converted: +\d+%\|", line) for line in seen.ever)

    training = ["train", config, f"--examples_path={tensors}/train.tfrecord*"]
    training += [f"--run_dir={run_dir}", f"--hparams={TINY}"]
    # So many steps take seconds on any machine: what takes less than half a second leaves no bar.
    seen = shown(*training, "--num_steps=150")
    last = r"steps: 100%\|█+\| 150/150 \[\d\d:\d\d<00:00, +[\d.]+ steps/s, \d+ examples/s, "
    assert any(re.fullmatch(last + r"loss [\d.]+\]", line) for line in seen.ever)
    loading = r"loading TensorFlow and Magenta \.\.\. \d\d:\d\d"
    assert any(re.match(loading, line) for line in seen.ever)
    assert any(line.startswith("finished at step 150") for line in seen.lines)

    seen = shown(*training, "--num_steps=160")
    assert any(re.match(r"steps: +94%\|\S+ *\| 151/160 \[00:00<", line) for line in seen.ever)
    assert not any(re.match(r"steps: .* (\d\d?|1[0-4]\d|150)/160 ", line) for line in seen.ever)

    output = ["--num_outputs=2", f"--output_dir={tmp_path}/music"]
    seen = shown("generate", f"--run_dir={run_dir}", "--seed=1", *output)
    assert any(re.match(r"pieces written: +50%.* 1/2 ", line) for line in seen.ever)
    assert sum(line.endswith(".mid") for line in seen.lines) == 2
