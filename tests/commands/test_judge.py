"""The command `judge`, as it is run."""

import json

import pytest

from pipelines.music import midi_writer
from pipelines.music.abc import reader, tunebook
from tests.support.jobs import error_of, job
from tests.support.judged_tunes import BOOK, KESH, OTHERS

CHEAP = "--criteria=rhythm,mode"


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text(BOOK)
    return str(path)


@pytest.mark.slow
def test_a_table_with_reasons_and_counts(book, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear friends,\n")
    done = job("judge", book, str(tmp_path / "letter.txt"), CHEAP)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["tune", "rhythm", "mode", "verdict"]
    assert lines[1].startswith("book.abc 1 The Kesh Jig") and lines[1].endswith("passed")
    assert "rejected: rhythm, mode" in done.stdout
    assert any("bar 2: a beat" in line and "too short" in line for line in lines)
    for problem in OTHERS.values():
        assert f"cannot be judged: {problem}" in done.stdout
    assert "there is no tune" in done.stdout or "has no tune in it" in done.stdout
    assert "6 tunes: 1 passed, 1 rejected (rhythm 1, mode 1), 4 cannot be judged" in done.stderr


@pytest.mark.slow
def test_json_lines(book):
    done = job("judge", book, CHEAP, "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["verdict"] for one in found] == ["passed", "rejected", *["unjudged"] * 3]
    assert found[1]["rejected_for"] == ["rhythm", "mode"]
    assert found[1]["rhythm"]["marks"][0]["bar"] == 2
    assert found[0]["mode"]["evidence"]["key"] == "G major"
    assert (found[0]["file"], found[0]["name"], found[0]["title"]) == (book, "1", "The Kesh Jig")


@pytest.mark.slow
def test_copies_are_looked_for_where_asked(book, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.abc").write_text(KESH.replace("The Kesh Jig", "My Own"))
    done = job("judge", book, "--criteria=copied", f"--against={tmp_path}/mine", "--json")
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout.splitlines()[0])
    assert first["rejected_for"] == ["copied"] and "My Own" in first["copied"]["says"]


@pytest.mark.slow
def test_a_page_of_its_own_is_replaced_and_what_is_in_its_way_is_told_first(tmp_path):
    path, page = tmp_path / "kesh.abc", tmp_path / "page"
    path.write_text(KESH)
    for _ in range(2):
        done = job("judge", str(path), "--criteria=rhythm", f"--page={page}")
        assert done.returncode == 0, done.stderr
        assert "1 tune: 1 passed, 0 rejected" in done.stderr
    path.write_text(KESH.replace("G3 GAB", "g3 GAB"))
    (page / "judge.json").unlink()
    done = job("judge", str(path), "--criteria=rhythm", f"--page={page}")
    assert "holds other music" in error_of(done) and not done.stdout


@pytest.mark.slow
def test_files_of_scores_are_named_and_drums_left_out(tmp_path):
    piece = reader.read(next(tunebook.tunes(KESH)))
    for number, name in enumerate(("one.mid", "two.mid")):
        if number:
            piece.notes.add(pitch=38, velocity=80, end_time=0.1, is_drum=True, instrument=9)
        (tmp_path / name).write_bytes(midi_writer.note_sequence_to_midi(piece))
    done = job("judge", str(tmp_path), "--criteria=rhythm", "--noreasons")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["one.mid", "two.mid"]
    assert all(line.endswith("passed") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name files or folders"),
        (["none.abc", CHEAP], "there is no such file"),
        (["--criteria=rythm", "x.abc"], "did you mean rhythm"),
        (["x.abc", CHEAP, "--against=y"], "--against goes with the criterion copied"),
        (["x.abc", "--judge=nowhere"], "no judge.json in it"),
        (["x.abc", "--overwrite"], "--overwrite goes with --output"),
        (["x.abc", "--output=o", "--json"], "--json goes without --output"),
        (["learn", "--records=r", "--tunebooks=t"], "missing --output"),
    ],
)
def test_bad_flags_end_in_a_line(arguments, message, tmp_path):
    assert message in error_of(job("judge", *arguments, cwd=tmp_path))
