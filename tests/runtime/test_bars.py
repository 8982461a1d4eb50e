"""Progress on a terminal, as its user sees it."""

import re
import sys

import pytest

from tests.support import pseudo_terminal

# Counts to 8, while everything that a job may do writes lines.
_JOB = """
import logging, sys, time, warnings
from pipelines.runtime import app
from pipelines.runtime.progress import Progress, Stages

early = logging.StreamHandler()
logging.getLogger("early").propagate = False

def main():
    with Stages() as stages:
        stages.begin("loading the model")
        time.sleep(0.05)
        stages.end("loaded")
        with Progress("tunes read", 16, first=8) as progress:
            for count in range(9, 17):
                time.sleep(0.08)
                progress.update(count, "loss 2", bar_note="loss 1")
                if count == 9:
                    app.say("said \\x1b[31m")
                    print("result")
                    warnings.warn("warned")
                    logging.getLogger("early").addHandler(early)
                    logging.getLogger("early").error("logged")
                    sys.stderr.write("half a line, ")
                if count == 11:
                    sys.stderr.write("and the rest\\n")
                if count == 12:
                    with Progress("notes", None) as inner:
                        for inner_count in range(8):
                            time.sleep(0.08)
                            inner.update(inner_count)
        with Progress("quick things", 1):
            pass

app.run(main)
"""
_SAID = [
    r"loaded in 0\.\d s",
    r"said \\x1b\[31m",
    "result",
    ".*: UserWarning: warned",
    "logged",
    "half a line, and the rest",
]


def _run(job=_JOB, **settings):
    return pseudo_terminal.run([sys.executable, "-c", job], **settings)


def test_a_bar_stays_whole_below_all_other_lines():
    seen = _run()
    assert seen.status == 0
    *above, bar = seen.lines
    assert len(above) == len(_SAID)
    for line, pattern in zip(above, _SAID):
        assert re.fullmatch(pattern, line), line
    assert re.fullmatch(
        r"tunes read: 100%\|█+\| 16/16 \[00:0\d<00:00, +\d\.\d\d tunes/s, loss 1\]", bar
    )
    # The rate is of the eight that this job counted, which took about two seconds.
    assert 1 < float(re.search(r"([\d.]+) tunes/s", bar)[1]) < 8 / 0.64
    assert any(re.match(r"tunes read:  50%\|\S+ *\| 8/16 \[00:00<\?", line) for line in seen.ever)
    assert any(re.match(r"loading the model \.\.\. 00:00", line) for line in seen.ever)
    assert any(re.match(r"notes: \d \[00:0\d, +\d.*notes/s\]", line) for line in seen.ever)
    # Neither colour nor a hidden cursor nor anything else that would have to be undone.
    assert set(re.findall(rb"\x1b\[[^A-Za-z]*[A-Za-z]", seen.sent)) <= {b"\x1b[A"}
    assert seen.cursor_is_ready


def test_a_pipe_gets_the_results_alone():
    seen = _run(stdout_is_terminal=False)
    assert seen.stdout == b"result\n"
    assert seen.lines[-1].startswith("tunes read: 100%")


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"CI": "true"}])
def test_plain_lines_where_nobody_watches_a_bar(environment):
    seen = _run(environment=environment)
    assert seen.status == 0
    assert seen.lines[0] == "loading the model ..."
    assert len(seen.lines) == 1 + len(_SAID)
    for line, pattern in zip(seen.lines[1:], _SAID):
        assert re.fullmatch(pattern, line), line
    # The line discipline of the terminal makes \r\n of \n; there is no other \r.
    assert b"\r" not in seen.sent.replace(b"\r\n", b"\n")
    assert b"\x1b" not in seen.sent


def test_a_narrow_terminal_without_unicode():
    seen = _run(columns=45, environment={"PYTHONIOENCODING": "ascii"})
    bar = seen.lines[-1]
    assert re.fullmatch(r"tunes read: 100%\|#*\| 16/16 \[00:0.*", bar)
    assert len(bar) <= 45


def test_ctrl_c_leaves_the_terminal_clean():
    # Sooner the bar would not be worth keeping.
    wait = 'time.sleep(0.6); progress.update(12, bar_note="waiting"); time.sleep(60)'
    job = _JOB.replace("if count == 12:", f"if count == 12:\n                    {wait}")
    seen = _run(job, interrupt_at="waiting")
    assert seen.status == 130
    *_, bar, last = seen.lines
    assert re.match(r"tunes read: +\d+%\|", bar)
    assert last == "interrupted"
    assert seen.cursor_is_ready


def test_an_error_comes_below_its_bar():
    job = _JOB.replace('print("result")', 'raise app.UserError("no such tune")')
    seen = _run(job)
    assert seen.status == 1
    assert seen.lines[-1] == "error: no such tune"
    assert seen.cursor_is_ready
