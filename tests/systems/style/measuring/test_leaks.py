"""Whether a run has met what it is measured on."""

import json
import pathlib

import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.style.measuring import leaks
from pipelines.systems.style.sounds import rendering, sound_folders


def put(root: pathlib.Path, sound: str) -> pathlib.Path:
    """A folder of pairs as `style render` makes it; only bytes are looked at."""
    rows = []
    for role in ("source", "target"):
        for split, names in {"train": role[0], "validation": "vw", "test": "xy"}.items():
            for name in names:
                path = root / role / split / f"{name}.flac"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{name} by {sound} {role}")
                rows.append({"path": path.relative_to(root).as_posix(), "id": f"tunes/{name}"})
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    (root / "manifest.jsonl").write_text(text)
    return root


def check(measured, source, target, split="test"):
    about = {"source": str(source), "target": str(target)}
    leaks.require_unmet("run", about, sound_folders.pairs(measured, split))


def test_training_and_test_have_nothing_in_common(tmp_path, capsys):
    pairs = put(tmp_path / "pairs", "flute")
    check(pairs, pairs / "source", pairs / "target")
    assert not capsys.readouterr().err


def test_a_run_that_learnt_what_is_measured_is_refused(tmp_path):
    pairs = put(tmp_path / "pairs", "flute")
    with pytest.raises(UserError, match=r"from 2 of the 4 .*/source/test/x\.flac;"):
        check(pairs, pairs / "source" / "test", pairs / "target")
    # So does a copy of one, of whatever name.
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "take 1.flac").write_bytes((pairs / "target/test/y.flac").read_bytes())
    with pytest.raises(UserError, match=r"from 1 of the 4 .*/mine/take 1\.flac;"):
        check(pairs, pairs / "source", mine)


def test_the_same_performances_with_other_sounds(tmp_path, capsys):
    pairs, others = put(tmp_path / "pairs", "flute"), put(tmp_path / "others", "harp")
    check(pairs, others / "source" / "test", others / "target")
    said = capsys.readouterr().err
    assert "run has learnt from 2 of the 2 performances" in said and "as tunes/x" in said
    check(pairs, others / "source", others / "target")
    assert not capsys.readouterr().err


@pytest.mark.parametrize("manifest", [True, False])
def test_a_checkpoint_that_was_chosen_on_what_is_measured(manifest, tmp_path, capsys):
    pairs = put(tmp_path / "pairs", "flute")
    if not manifest:
        (pairs / "manifest.jsonl").unlink()
    check(pairs, pairs / "source", pairs / "target", "validation")
    said = capsys.readouterr().err
    assert "warning: the checkpoint of run was chosen on pairs" in said and "--split=test" in said
    # Folders of a user have no validation to choose by.
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.wav").write_text("something else")
    check(pairs, tmp_path / "mine", pairs / "target", "validation")
    assert not capsys.readouterr().err


def test_what_a_run_learnt_from_is_gone(tmp_path, capsys):
    pairs = put(tmp_path / "pairs", "flute")
    check(pairs, tmp_path / "gone", pairs / "target")
    assert f"warning: run learnt from {tmp_path}/gone, where no sounds" in capsys.readouterr().err


def test_pairs_that_a_run_was_chosen_on_are_incomplete(tmp_path, capsys):
    pairs, measured = put(tmp_path / "pairs", "flute"), put(tmp_path / "measured", "harp")
    (measured / "manifest.jsonl").write_text("")
    (pairs / "target" / "validation" / "v.flac").unlink()
    check(measured, pairs / "source", pairs / "target")
    assert "nobody can tell whether run was chosen on these pairs" in capsys.readouterr().err


def test_ids_of_files(tmp_path):
    pairs = put(tmp_path / "pairs", "flute")
    mine = tmp_path / "a.wav"
    assert rendering.ids([pairs / "source/test/x.flac", pairs / "source/test/z.flac", mine]) == {
        "tunes/x"
    }
    (pairs / "manifest.jsonl").write_text('{"path": 1}')
    with pytest.raises(UserError, match=r"manifest\.jsonl: damaged; render the folder anew"):
        rendering.ids([pairs / "source/test/x.flac"])
