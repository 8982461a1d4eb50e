import json
import shutil

import pytest

from pipelines.judge import batches, reading, verdicts
from pipelines.runtime.app import UserError
from tests.support import tunebooks

SETTINGS = ("", ["rhythm", "melody"], [])


@pytest.fixture
def books(tmp_path):
    """A folder with two tunebooks, a letter with a tune, and a MIDI file that is damaged."""
    folder = tmp_path / "books"
    (folder / "deep").mkdir(parents=True)
    texts = [
        tunebooks.abc(number, tune.title, tune.strains[0])
        for number, tune in enumerate(tunebooks.tunes(seed=7, count=6), start=1)
    ]
    (folder / "one.abc").write_text("\n".join(texts[:4]))
    (folder / "deep" / "two.abc").write_text("\n".join(texts[4:]) + "\nX:9\nT:No notes\nK:C\nz8|\n")
    (folder / "letter.txt").write_text(f"Dear friends,\n\n{texts[0]}")
    (folder / "bad.mid").write_bytes(b"MThd\0\0\0\6")
    return folder


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_batches_give_what_the_judge_gives_tune_by_tune(books, tmp_path):
    path, counts = batches.judge([str(books)], str(tmp_path / "out"), SETTINGS)
    found = lines_of(path)
    judge = verdicts.open_judge(*SETTINGS)
    by_one = [
        verdicts.as_json(read, verdicts.of(judge, read)) for read in reading.read_all([str(books)])
    ]
    # The same files in the same order, and no letter.
    assert found == json.loads(json.dumps(by_one))
    # Nothing is lost: six tunes, one without notes, and a file that cannot be read.
    assert len(found) == sum(counts.values()) == 8 and counts["unjudged"] == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == [batches.FILE]


@pytest.mark.slow
def test_worker_processes_and_archives_give_the_same(books, tmp_path):
    path, _ = batches.judge([str(books)], str(tmp_path / "one"), SETTINGS)
    two = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    other, _ = batches.judge([str(books)], str(tmp_path / "two"), SETTINGS, two)
    assert lines_of(path) == lines_of(other)
    (books / "bad.mid").unlink()
    archive = shutil.make_archive(str(tmp_path / "books"), "zip", books)
    zipped, _ = batches.judge([archive], str(tmp_path / "three"), SETTINGS)
    # An archive lists its files in another order.
    told = sorted(json.dumps([one["name"], one["melody"]]) for one in lines_of(zipped))
    assert told == sorted(
        json.dumps([one["name"], one["melody"]])
        for one in lines_of(path)
        if one["file"] != str(books / "bad.mid")
    )


def test_an_older_file_is_replaced_only_where_asked(books, tmp_path):
    output = str(tmp_path / "out")
    batches.judge([str(books)], output, SETTINGS)
    with pytest.raises(UserError, match="add --overwrite"):
        batches.judge([str(books)], output, SETTINGS)
    batches.judge([str(books)], output, SETTINGS, overwrite=True)
    with pytest.raises(UserError, match="no file ends in .abc"):
        (tmp_path / "empty").mkdir()
        batches.judge([str(tmp_path / "empty")], str(tmp_path / "other"), SETTINGS)
