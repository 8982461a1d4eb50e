"""Progress on stderr."""

from pipelines.runtime.progress import Progress


def test_progress_lines_come_now_and_then(capsys, monkeypatch):
    now = iter([0.0, 4.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    progress = Progress("things done", total=9, every=10)
    for count in (1, 2, 3):
        progress.update(count, "(so far)")
    progress.close()
    assert capsys.readouterr().err == "2 of 9 things done (so far)\n"
