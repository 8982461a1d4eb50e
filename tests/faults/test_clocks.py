"""Clocks that jump: files of 1970 and of the future, and time that goes backwards."""

import io
import os
import pathlib
import tarfile

import pytest

from experiments.faults import kill
from pipelines.demo import tunes

# Before the clock was set, at its beginning, and long after now.
TIMES = {"1970": 0, "1901": -(2**31), "2200": 7_258_118_400}


def set_times(folder: pathlib.Path, seconds: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (seconds, seconds))


@pytest.mark.slow
def test_records_do_not_depend_on_when_files_were_changed(tmp_path):
    from pipelines.corpora import conversion

    corpus = tmp_path / "corpus"
    tunes.write_corpus(corpus)
    results = []
    for name, seconds in [("now", None), *TIMES.items()]:
        if seconds is not None:
            set_times(corpus, seconds)
        conversion.convert("abc", str(corpus), str(tmp_path / name))
        results.append(kill.records(tmp_path / name))
    assert results[0] and all(result == results[0] for result in results)


@pytest.mark.slow
def test_the_newest_checkpoint_is_that_of_the_last_step(tmp_path):
    """Not the one that was written last by the clock, nor by the times that TensorFlow notes."""
    from pipelines import checkpoints

    for step, seconds in ((0, TIMES["2200"]), (3, TIMES["1970"]), (12, TIMES["1901"])):
        for end in ("index", "data-00000-of-00001"):
            path = tmp_path / f"model.ckpt-{step}.{end}"
            path.write_bytes(b"")
            os.utime(path, (seconds, seconds))
    assert checkpoints.latest(str(tmp_path)) == str(tmp_path / "model.ckpt-12")
    (tmp_path / "model.ckpt-12.data-00000-of-00001").unlink()
    assert checkpoints.latest(str(tmp_path)) == str(tmp_path / "model.ckpt-3")


@pytest.mark.slow
@pytest.mark.parametrize("mtime", [-(2**40), 0, 2**63, 1e30, "nan"], ids=str)
def test_an_archive_from_whatever_time_is_unpacked(tmp_path, mtime):
    from pipelines import checkpoints

    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("model.ckpt.index", "model.ckpt.data-00000-of-00001"):
            member = tarfile.TarInfo(name)
            member.size = 1
            if mtime == "nan":
                member.pax_headers = {"mtime": "nan"}
            else:
                member.mtime = mtime
            archive.addfile(member, io.BytesIO(b"x"))
    assert checkpoints.find(None, str(tmp_path / "a.tar")).endswith("/model.ckpt")


class Clocks:
    """The time of day and the steady time, as the test sets them."""

    def __init__(self, monkeypatch):
        self.day = self.steady = 1e9
        monkeypatch.setattr("time.time", lambda: self.day)
        monkeypatch.setattr("time.monotonic", lambda: self.steady)

    def go_on(self, seconds: float, set_to: float | None = None) -> None:
        self.steady += seconds
        self.day = self.day + seconds if set_to is None else set_to


@pytest.mark.slow
def test_checkpoints_are_saved_while_the_clock_is_set_back_and_forth(monkeypatch):
    from pipelines.systems.musicvae.checkpoint_timer import SteadyTimer

    timer, clocks = SteadyTimer(every_secs=60), Clocks(monkeypatch)
    assert timer.should_trigger_for_step(0)
    assert timer.update_last_triggered_step(0) == (None, None)
    # Forward by a day: no checkpoint at each step.
    clocks.go_on(1, set_to=clocks.day + 86_400)
    assert not timer.should_trigger_for_step(1)
    # Back to 1970: saved a minute later all the same, and once.
    clocks.go_on(58, set_to=0)
    assert not timer.should_trigger_for_step(2)
    clocks.go_on(1)
    assert timer.should_trigger_for_step(3)
    assert timer.update_last_triggered_step(3) == (60, 3)
    assert not timer.should_trigger_for_step(3) and not timer.should_trigger_for_step(4)


@pytest.mark.slow
def test_training_ends_at_its_step_while_the_clock_runs_backwards(
    groove_records, tmp_path, monkeypatch
):
    """By a day at each look; between them the run goes on from a checkpoint of the future."""
    from pipelines import checkpoints
    from tests.support.trained import train_run

    now = [4e9]

    def earlier() -> float:
        now[0] -= 86_400
        return max(now[0], 1.0)

    monkeypatch.setattr("time.time", earlier)
    run = tmp_path / "run"
    assert train_run(groove_records, run, num_steps=2) == 2
    set_times(run, TIMES["2200"])
    assert train_run(groove_records, run, num_steps=4) == 2
    assert checkpoints.last_step(str(run / "train")) == 4
