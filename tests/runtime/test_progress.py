"""Progress on stderr."""

import re
import threading
import time

import pytest

from pipelines.runtime.progress import Progress, Stages


def test_progress_lines_come_now_and_then(capsys, monkeypatch):
    now = iter([0.0, 4.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    progress = Progress("things done", total=9, every=10)
    for count in (1, 2, 3):
        progress.update(count, "(so far)")
    progress.close()
    assert capsys.readouterr().err == "2 of 9 things done (so far)\n"


def test_a_long_stage_says_so_until_it_ends(capsys):
    before = threading.active_count()
    with pytest.raises(KeyError), Stages(every=0.01) as stages:
        stages.begin("thinking")
        said = capsys.readouterr().err
        assert said.startswith("thinking ...")
        deadline = time.monotonic() + 60
        while "thinking: 0 s so far" not in said and time.monotonic() < deadline:
            said += capsys.readouterr().err
        stages.end("thought")
        assert re.search(r"^thought in \d+\.\d s$", capsys.readouterr().err, re.MULTILINE)
        stages.begin("failing")
        raise KeyError
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before
    assert "so far" in said
