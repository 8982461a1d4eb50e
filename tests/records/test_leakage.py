"""Tunes that one folder of records trains on while another one holds them out."""

import pytest

from pipelines.records import leakage
from pipelines.records.folder import Folder
from pipelines.records.manifest import record_files
from pipelines.records.parts import Part
from pipelines.runtime.app import UserError
from tests.support.jobs import error_of, job


def require_none(pattern):
    leakage.require_none(record_files(pattern), pattern)


def warn(pattern, trained_on):
    return leakage.warn(record_files(pattern), trained_on)


def make(path, tunes, percent, **decided):
    """Writes {id: keys}, split by `percent`, and {id: split} as a finished folder."""
    with Folder(path) as folder:
        with Part(folder.parts, "one") as part:
            for name, keys in tunes.items():
                part.add(None, name, b"record", keys, f"Tune {name}")
            for name, split in decided.items():
                part.add(split, name, b"record")
        folder.finish("notesequence", "made", 1, 0, {}, percent)


TRAIN, VALIDATION, TEST = (100, 0, 0), (0, 100, 0), (0, 0, 100)


@pytest.fixture
def folders(tmp_path):
    """Folder a trains on tunes 0 to 9; b holds out 7 to 12; c holds out others."""
    make(tmp_path / "a", {f"a{i}": (f"melody:{i}", f"title:{i}") for i in range(10)}, TRAIN)
    make(
        tmp_path / "b", {f"b{i}": ("title:b", f"title:{i}") for i in range(7, 13)}, TEST, x="train"
    )
    make(tmp_path / "c", {f"c{i}": (f"melody:c{i}",) for i in range(7)}, VALIDATION, y="train")
    return tmp_path


def test_tunes_that_another_folder_holds_out_are_refused(folders):
    with pytest.raises(UserError) as caught:
        require_none(f"{folders}/a/train.tfrecord*,{folders}/b/train.tfrecord*")
    message = str(caught.value)
    assert ": 3 tunes to train on are held out in the other folder: " in message
    assert f"(train of {folders}/a and test of {folders}/b)" in message
    assert {name for name in ("a7", "a8", "a9", "a6") if f"'Tune {name}'" in message} == {
        "a7",
        "a8",
        "a9",
    }
    assert "convert them together" in message and "\n" not in message


def test_what_is_not_held_out_elsewhere_passes(folders):
    require_none(f"{folders}/a/train.tfrecord*")
    require_none(f"{folders}/a/train.tfrecord*,{folders}/c/train.tfrecord*")
    # What is trained on in both folders is not held out.
    require_none(f"{folders}/a/train.tfrecord*,{folders}/b/*.tfrecord*")
    stock = folders / "stock"
    stock.mkdir()
    (stock / "train.tfrecord").write_bytes(b"")
    require_none(f"{folders}/a/train.tfrecord*,{stock}/train.tfrecord")


def test_a_phrase_in_common_makes_no_versions(tmp_path):
    # Six melodies of which two are alike, so that the lists have their phrases.
    melodies = {f"{i}": (f"melody:{i}", f"phrase:{i // 2 * 2 if i < 2 else i}") for i in range(6)}
    for name, percent in (("a", TRAIN), ("b", TEST)):
        tunes = {
            f"{name}{i}": (f"title:{name}", f"{keys[0]}{name}", keys[1])
            for i, keys in melodies.items()
        }
        make(tmp_path / name, tunes, percent, x="train")
    assert '"70' in (tmp_path / "a" / "tunes.jsonl").read_text()
    require_none(f"{tmp_path}/a/train.tfrecord*,{tmp_path}/b/train.tfrecord*")
    assert warn(f"{tmp_path}/b/test.tfrecord*", f"{tmp_path}/a/train.tfrecord*") == 0


def test_tunes_alike_under_a_general_title_are_versions_in_another_folder_too(tmp_path):
    # Ten melodies under one title in each folder: a phrase joins two in a, and the same two in b.
    for name, percent in (("a", TRAIN), ("b", TEST)):
        tunes = {
            f"{name}{i}": (
                "title:polska",
                f"melody:{name}{i}",
                f"phrase:{'alike' if i < 2 else f'{name}{i}'}",
            )
            for i in range(10)
        }
        make(tmp_path / name, tunes, percent, x="train")
    with pytest.raises(UserError, match="2 tunes to train on are held out in the other folder"):
        require_none(f"{tmp_path}/a/train.tfrecord*,{tmp_path}/b/train.tfrecord*")
    assert warn(f"{tmp_path}/b/test.tfrecord*", f"{tmp_path}/a/train.tfrecord*") == 2


def test_names_that_lead_to_one_folder_are_one(folders):
    (folders / "link").symlink_to(folders / "b")
    require_none(f"{folders}/b/train.tfrecord*,{folders}/link/test.tfrecord*")


def test_measuring_what_was_trained_on_is_said(folders, capsys):
    trained_on = f"{folders}/a/train.tfrecord*"
    assert warn(f"{folders}/b/test.tfrecord*", trained_on) == 3
    assert "warning: 3 of the 6 records to measure are versions of" in capsys.readouterr().err
    assert warn(f"{folders}/c/validation.tfrecord*", trained_on) == 0
    assert warn(f"{folders}/b/test.tfrecord*", f"{folders}/gone/train*") == 0


def test_a_damaged_list_ends_no_evaluation(folders, capsys):
    (folders / "b" / "tunes.jsonl").write_text("{broken")
    assert warn(f"{folders}/b/test.tfrecord*", f"{folders}/a/train.tfrecord*") == 0
    assert "not checked" in capsys.readouterr().err

    assert capsys.readouterr().err == ""


def test_records_of_several_splits_are_warned_of(tmp_path, capsys):
    first, second = tmp_path / "a [1]", tmp_path / "b"
    for folder, splits in ((first, ("train", "test")), (second, ("train", "validation"))):
        make(folder, {}, TRAIN, **{f"in {split}": split for split in splits})

    def said(pattern):
        leakage.warn_of_splits(record_files(pattern), pattern)
        return capsys.readouterr().err

    assert said(f"{second}/*") == (
        f"warning: {second}/* matches records of train and validation, so it trains on records "
        f"that are held out; those to train on are '{second}/train.tfrecord-*'\n"
    )
    both = said(f"{tmp_path}/*/*")
    assert "records of train and validation and test, so" in both
    named = f"{tmp_path}/a [[]1]/train.tfrecord-*,{second}/train.tfrecord-*"
    assert both.endswith(f"are '{named}'\n") and said(named) == ""
    assert said(f"{second}/validation*") == ""


@pytest.mark.slow
def test_the_job_refuses(folders):
    done = job(
        "train",
        "--config=flat-groove_4bar",
        f"--examples_path={folders}/a/train.tfrecord*,{folders}/b/train.tfrecord*",
        f"--run_dir={folders}/run",
    )
    assert "3 tunes to train on are held out" in error_of(done)
