"""The report on what a config makes of a folder of records."""

import json

import pytest

import configs
from pipelines.examples import report as coverage
from pipelines.runtime import files
from pipelines.runtime.app import UserError
from tests.support.datasets import write
from tests.support.jobs import error_of, job
from tests.support.pieces import drums, named, scale, tune


def finish(folder, splits):
    """Makes a folder of records as convert leaves it."""
    folder.mkdir(exist_ok=True)
    for split, pieces in splits.items():
        write(folder / f"{split}.tfrecord-00000-of-00001", pieces)
    manifest = {
        "kind": "notesequence",
        "corpus": "mine",
        "read": sum(map(len, splits.values())) + 3,
        "rejected": 3,
        "splits": {split: {"records": len(pieces)} for split, pieces in splits.items()},
    }
    files.write_json(str(folder / "manifest.json"), manifest)
    return str(folder)


@pytest.fixture
def folder(tmp_path):
    """Two tunes that give 4 and 1 windows of 2 bars, and one for each reason to give none."""
    chord = tune([(60, 0, 32), (64, 0, 32)])
    triplet = tune([(60, 0, 2 / 3), (62, 2 / 3, 2 / 3), (64, 4 / 3, 2 / 3), (65, 4, 28)])
    return finish(
        tmp_path / "records",
        {
            "train": [
                named("reel", scale(80)),
                scale(80, meter=(6, 8)),
                scale(80, meter=(6, 8)),
                scale(80, meter=(3, 4)),
                chord,
                scale(16),
                tune([(30, 0, 32)]),
            ],
            "validation": [named("hornpipe", triplet), tune([])],
            "test": [],
        },
    )


def test_every_record_gives_examples_or_a_reason(folder):
    report = coverage.measure(configs.get("flat-reel_2bar"), folder)
    assert (report["corpus"], report["read"], report["rejected"]) == ("mine", 12, 3)
    train, validation, test = (report["splits"][name] for name in ("train", "validation", "test"))
    assert (train["records"], train["used"], train["examples"]) == (7, 1, 4)
    assert train["reasons"] == {
        "wrong meter": 3,
        "polyphony": 1,
        "too short": 1,
        "out of range": 1,
    }
    assert train["details"]["wrong meter: 6/8; needs 4/4 or 2/2"] == 2
    assert train["details"]["wrong meter: 3/4; needs 4/4 or 2/2"] == 1
    assert (validation["records"], validation["used"], validation["examples"]) == (2, 1, 1)
    assert validation["reasons"] == {"no notes": 1}
    assert validation["noted"] == {"merged": 1}
    assert test == {
        "records": 0,
        "used": 0,
        "examples": 0,
        "reasons": {},
        "details": {},
        "noted": {},
    }
    assert (report["all"]["records"], report["all"]["used"]) == (9, 2)
    for part in (*report["splits"].values(), report["all"]):
        assert part["records"] == part["used"] + sum(part["reasons"].values())
        assert sum(part["reasons"].values()) == sum(part["details"].values())


def test_the_rhythm_filter_is_a_reason(folder):
    config = configs.get("flat-reel_2bar")
    config.hparams.parse("rhythm=reel")
    report = coverage.measure(config, folder)
    assert report["all"]["used"] == 1
    # The empty tune keeps its own reason.
    assert report["splits"]["validation"]["reasons"] == {"filtered by rhythm": 1, "no notes": 1}


def test_the_table_by_hand(folder):
    lines = coverage.table(coverage.measure(configs.get("flat-reel_2bar"), folder)).splitlines()
    assert [line.split() for line in lines] == [
        ["train", "validation", "test", "all"],
        ["records", "7", "2", "0", "9"],
        ["give", "examples", "1", "1", "0", "2"],
        ["no:", "wrong", "meter", "3", "0", "0", "3"],
        ["6/8", "2", "0", "0", "2"],
        ["3/4", "1", "0", "0", "1"],
        ["no:", "polyphony", "1", "0", "0", "1"],
        ["no:", "too", "short", "1", "0", "0", "1"],
        ["no:", "out", "of", "range", "1", "0", "0", "1"],
        ["no:", "no", "notes", "0", "1", "0", "1"],
        ["examples", "4", "1", "0", "5"],
        ["merged", "0", "1", "0", "1"],
    ]
    assert len(set(map(len, lines))) == 1


@pytest.mark.parametrize(
    "name, reason",
    [
        ("flat-groove_4bar", "in 3/4; needs 4 quarter notes a bar"),
        ("cat-drums_2bar_small", "needs what DrumsConverter takes, bars of 4 quarter notes"),
    ],
)
def test_other_families_of_configs(name, reason, tmp_path):
    hits = [(2.0 * bar, 36, 80) for bar in range(6)]
    folder = finish(tmp_path / "records", {"train": [drums(hits), drums(hits, meter=(3, 4))]})
    report = coverage.measure(configs.get(name), folder)["all"]
    assert (report["records"], report["used"]) == (2, 1)
    [said] = report["reasons"]
    assert said.startswith(reason) and report["reasons"][said] == 1


@pytest.mark.parametrize(
    "facts, message",
    [
        ({"kind": "tensors"}, "kind tensors, not notesequence; --input names the folder"),
        ({"splits": {"train": {"records": 2}}}, "names 2 records of train, and there are 1"),
        ({}, "no job finished there"),
    ],
)
def test_folders_that_cannot_be_counted(facts, message, tmp_path):
    folder = finish(tmp_path, {"train": [scale(80)]})
    manifest = {"kind": "notesequence", "splits": {"train": {"records": 1}}, **facts}
    if facts:
        files.write_json(str(tmp_path / "manifest.json"), manifest)
    else:
        (tmp_path / "manifest.json").unlink()
    with pytest.raises(UserError, match=message):
        coverage.measure(configs.get("flat-reel_2bar"), folder)


def test_files_are_no_folder(folder):
    for path in (f"{folder}/absent", f"{folder}/train.tfrecord*", f"{folder}/manifest.json"):
        with pytest.raises(UserError, match="no such folder; --input names one that"):
            coverage.measure(configs.get("flat-reel_2bar"), path)


@pytest.mark.slow
def test_the_job(folder):
    flags = ["--config=flat-reel_2bar", f"--input={folder}", "--dry_run"]
    done = job("tensors", *flags, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["config"] == "flat-reel_2bar"
    assert (report["all"]["records"], report["all"]["examples"]) == (9, 5)
    done = job("tensors", *flags)
    assert done.returncode == 0, done.stderr
    assert "(3 of 12 were left out by convert before)" in done.stdout
    assert coverage.table(report) in done.stdout


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "missing --output, or --dry_run for a report alone"),
        (["--output=t", "--num_shards=0"], "num_shards"),
        (["--output=t", "--num_shard=1"], "no flag --num_shard; did you mean --num_shards?"),
    ],
)
def test_flags_that_cannot_be_used(flags, message, tmp_path):
    done = job("tensors", "--config=flat-reel_2bar", f"--input={tmp_path}", *flags, cwd=tmp_path)
    assert message in error_of(done)
    assert not list(tmp_path.iterdir())
