"""Titles for tunes from Python, beside a process that may hold a model of Magenta's."""

import subprocess

import pytest

import reelgroove
from tests.support import titled
from tests.support.jobs import job

pytestmark = [pytest.mark.keras3, pytest.mark.slow]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return titled.make(tmp_path_factory.getbasetemp())


def printed(done: subprocess.CompletedProcess) -> list[list[tuple[str, str, bool]]]:
    """What `titles match` prints: title, score and whether it exists, for each tune."""
    found: list[list[tuple[str, str, bool]]] = []
    for line in done.stdout.splitlines():
        if line.startswith("# "):
            found.append([])
        else:
            _, score, status, title = line.split("\t")
            found[-1].append((title, score, status == "exists"))
    return found


def test_titles_are_those_of_the_command(made, tmp_path):
    (tmp_path / "two.abc").write_text(titled.tune(1, "One") + titled.tune(99, "Two", key="Dm"))
    path = str(tmp_path / "two.abc")
    [one, two] = reelgroove.read(path)
    drums = reelgroove.NoteSequence()
    drums.notes.add(pitch=36, velocity=90, end_time=1.0, is_drum=True)
    found = reelgroove.match(made.run, [one, two, drums], top_k=3)
    assert [len(titles) for titles in found] == [3, 3, 0]
    assert all(match.exists for match in found[0]) and found[0][0].score > found[0][2].score
    done = job("titles", "match", path, f"--run_dir={made.run}", "--top_k=3")
    shown = [[(each.title, f"{each.score:.3f}", each.exists) for each in one] for one in found[:2]]
    assert printed(done) == shown
    # The path of a tunebook stands for its tunes.
    titles = tmp_path / "ideas.txt"
    titles.write_text("A Brand Like No Other\n")
    [[idea], [same]] = reelgroove.match(made.run, path, titles=titles)
    assert idea.title == same.title == "A Brand Like No Other" and not idea.exists


def test_errors_are_exceptions(made, tmp_path):
    with pytest.raises(reelgroove.Error, match="nowhere"):
        reelgroove.match(tmp_path / "nowhere", [reelgroove.NoteSequence()])
    with pytest.raises(reelgroove.Error, match="not dict"):
        reelgroove.match(made.run, [{}])
