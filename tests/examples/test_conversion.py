"""The conversion of NoteSequence records to tensors as a whole, and the command."""

import collections
import json
import re

import numpy as np
import pytest
import tensorflow as tf

import configs
from configs import ConfigRef
from pipelines.examples import conversion
from pipelines.examples import report as coverage
from pipelines.music.note_sequence import NoteSequence
from pipelines.records import beam_batches, leakage, tfrecord
from pipelines.records.folder import Folder
from pipelines.records.manifest import open_folder, read_manifest, record_files
from pipelines.records.parts import Part, read_batch
from pipelines.runtime.app import UserError
from tests.support.datasets import finish
from tests.support.jobs import job
from tests.support.pieces import drums, named, scale, tune

PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def rejections(path):
    lines = (path / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return [tuple(json.loads(line).values()) for line in lines]


def features(path, split):
    """The features of each record of a split, as lists by name."""
    for file in record_files(f"{path}/{split}.tfrecord*"):
        for record in tfrecord.read(file):
            example = tf.train.Example.FromString(record)
            yield {
                name: getattr(feature, feature.WhichOneof("kind")).value[:]
                for name, feature in example.features.feature.items()
            }


@pytest.fixture
def tunes(tmp_path):
    """Tunes of 5, 8 and 3 bars: 4, 7 and 2 windows of 2 bars; and three that give none."""
    return finish(
        tmp_path / "notes",
        {
            "a/1": ("train", scale(80)),
            "a/1:2": ("train", scale(128)),
            "b/1": ("test", named("reel", scale(48, qpm=90.0))),
            "c/1": ("train", scale(80, meter=(6, 8))),
            "c/2": ("validation", tune([(30, 0, 32)])),
            "d/1": ("validation", b"\xff\xff\xff"),
        },
    )


def test_everything_read_is_used_or_rejected(tunes, tmp_path):
    manifest = conversion.convert(
        ConfigRef("flat-reel_2bar"), tunes, str(tmp_path / "t"), num_shards=3
    )
    assert manifest == read_manifest(tmp_path / "t")
    assert manifest["kind"] == "tensors" and manifest["corpus"] == "mine"
    assert manifest["config"] == "flat-reel_2bar"
    assert manifest["hparams"] == {"max_seq_len": 32, "rhythm": ""}
    assert manifest["tensors"] == {"outputs": {"kind": "tokens", "depths": [48], "bytes": 1}}
    # These numbers do not include what `convert` left out before.
    assert (manifest["read"], manifest["used"], manifest["rejected"]) == (6, 3, 3)
    assert manifest["examples"] == manifest["full_length"] == 4 + 7 + 2
    sizes = {file.name: file.stat().st_size for file in (tmp_path / "t").iterdir()}
    assert manifest["splits"] == {
        "train": {
            "records": 11,
            "shards": 3,
            "bytes": [sizes[f"train.tfrecord-0000{i}-of-00003"] for i in range(3)],
        },
        "validation": {"records": 0, "shards": 0, "bytes": []},
        "test": {
            "records": 2,
            "shards": 2,
            "bytes": [sizes[f"test.tfrecord-0000{i}-of-00002"] for i in range(2)],
        },
    }
    assert manifest["reasons"] == {"malformed": 1, "out of range": 1, "wrong meter": 1}
    [jig, low, broken] = rejections(tmp_path / "t")
    assert jig == ("c/1", "wrong meter", "6/8; needs 4/4 or 2/2")
    assert low == ("c/2", "out of range", "a note below 55 or above 100")
    # It has no id, so it is named by its shard and its offset there.
    assert broken[0].startswith("validation.tfrecord-0000")
    assert broken[1:] == ("malformed", "not a NoteSequence")


def test_each_window_once_with_source_number_and_tempo(tunes, tmp_path):
    conversion.convert(ConfigRef("flat-reel_2bar"), tunes, str(tmp_path / "t"))
    converter = configs.get("flat-reel_2bar").data_converter
    converter.set_mode("eval")
    for split in ("train", "test"):
        expected = {}
        for file in record_files(f"{tunes}/{split}.tfrecord*"):
            for piece in map(NoteSequence.FromString, tfrecord.read(file)):
                for i, window in enumerate(converter.to_tensors(piece).outputs):
                    tokens = (window.argmax(-1) + 1).astype(np.uint8).tobytes()
                    expected[piece.id, i] = tokens, piece.tempos[0].qpm
        found = list(features(tmp_path / "t", split))
        assert len(found) == len(expected)
        for record in found:
            key = record["source"][0].decode(), record["window"][0]
            assert (record["outputs"][0], record["qpm"][0]) == expected.pop(key)
            assert record["steps"] == record["lengths"] == [32]
        assert not expected


def test_repeated_windows_are_all_kept(tmp_path):
    """Eight equal bars: seven equal windows of two."""
    notes = [(60 + i % 4, 4 * i, 4) for i in range(32)]
    folder = finish(tmp_path / "notes", {"a": ("train", tune(notes))})
    manifest = conversion.convert(ConfigRef("flat-reel_2bar"), folder, str(tmp_path / "t"))
    assert manifest["examples"] == 7
    outputs = collections.Counter(r["outputs"][0] for r in features(tmp_path / "t", "train"))
    assert list(outputs.values()) == [7]


def test_a_dry_run_says_the_same(tunes, tmp_path):
    config = configs.get("flat-reel_2bar")
    notes = {
        name: ("train", scale(80 + 16 * i, meter=(4, 4) if i % 3 else (3, 4)))
        for i, name in enumerate("abcdef")
    }
    folder = finish(tmp_path / "more", notes)
    report = coverage.measure(config, folder)["all"]
    manifest = conversion.convert(ConfigRef("flat-reel_2bar"), folder, str(tmp_path / "t"))
    assert manifest["examples"] == report["examples"]
    assert manifest["used"] == report["used"]
    assert manifest["reasons"] == report["reasons"]


def test_hparams_reach_the_workers(tunes, tmp_path):
    manifest = conversion.convert(
        ConfigRef("flat-reel_2bar", hparams="rhythm=reel,batch_size=3"), tunes, str(tmp_path / "t")
    )
    assert manifest["hparams"] == {"max_seq_len": 32, "rhythm": "reel"}
    assert (manifest["used"], manifest["examples"]) == (1, 2)
    assert manifest["reasons"] == {"filtered by rhythm": 4, "malformed": 1}


def test_the_list_of_tunes_is_carried_along(tmp_path):
    """With it, leaks are found among tensors, and between tensors and other NoteSequences."""
    some = {name: (None, scale(80)) for name in "abcdefgh"}
    other = {name: (None, scale(80)) for name in "efghij"}
    first = finish(tmp_path / "first", some, (100, 0, 0))
    second = finish(tmp_path / "second", other, (0, 0, 100))
    conversion.convert(ConfigRef("flat-reel_2bar"), first, str(tmp_path / "t"))
    carried = (tmp_path / "t" / "tunes.jsonl").read_bytes()
    assert carried == (tmp_path / "first" / "tunes.jsonl").read_bytes()
    trained_on = f"{tmp_path}/t/train.tfrecord*"
    assert leakage.warn(record_files(f"{second}/test.tfrecord*"), trained_on) == 4
    leakage.require_none(record_files(trained_on), trained_on)


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_runner_workers_or_batches(tmp_path, monkeypatch):
    """One config has windows that go through sets of strings, the other draws."""
    rng = np.random.default_rng(0)

    def groove():
        return drums([(i / 8, int(rng.choice([36, 38, 42])), i % 127 + 1) for i in range(100)])

    names = [f"tune{i}" for i in range(12)]
    melodies = finish(
        tmp_path / "melodies", {name: (None, scale(96 + len(name))) for name in names}
    )
    grooves = finish(tmp_path / "grooves", {name: ("train", groove()) for name in names})

    def convert(config, folder, name, arguments):
        output = tmp_path / config / name
        conversion.convert(
            ConfigRef(config), folder, str(output), num_shards=3, pipeline_arguments=arguments
        )
        return contents(output)

    sets, draws = "cat-mel_2bar_med_chords", "groovae_2bar_tap_fixed_velocity_note_dropout"
    from_sets = convert(sets, melodies, "in process", [])
    drawn = convert(draws, grooves, "in process", [])
    assert len(from_sets) == 3 + 3 + 3 + 3 and len(drawn) == 3 + 2
    monkeypatch.setattr(beam_batches, "_MIN_BATCH", 2)
    assert convert(draws, grooves, "small batches", []) == drawn
    threads = ["--direct_running_mode=multi_threading", "--direct_num_workers=3"]
    assert convert(draws, grooves, "threads", threads) == drawn
    # The hashes of strings differ between processes.
    assert convert(sets, melodies, "processes", PROCESSES) == from_sets


def test_a_piece_without_an_id_is_named_by_its_place(tmp_path):
    """Stock Magenta's NoteSequences may have no id."""
    with Folder(tmp_path / "notes") as folder:
        with Part(folder.parts, "one") as part:
            for i in range(3):
                part.add("train", str(i), scale(32 + 16 * i).SerializeToString())
        folder.finish("notesequence", "mine", 1, 0, {})
    manifest = conversion.convert(
        ConfigRef("flat-reel_2bar"), str(tmp_path / "notes"), str(tmp_path / "t")
    )
    assert manifest["examples"] == 1 + 2 + 3
    sources = collections.Counter(r["source"][0] for r in features(tmp_path / "t", "train"))
    assert sorted(sources.values()) == [1, 2, 3]
    assert all(name.startswith(b"train.tfrecord-00000-of-00001:") for name in sources)


def test_a_piece_on_which_a_converter_fails_is_rejected(tmp_path):
    hits = [(2.0 * bar, 36, 80) for bar in range(6)]
    folder = finish(
        tmp_path / "notes",
        {"good": ("train", drums(hits)), "bad": ("train", drums(hits + [(1.0, 54, 80)]))},
    )
    conversion.convert(ConfigRef("groovae_4bar"), folder, str(tmp_path / "t"))
    assert rejections(tmp_path / "t") == [("bad", "GrooveConverter fails", "KeyError(54)")]


def test_what_is_not_augmented_is_said(tmp_path, capsys):
    folder = finish(tmp_path / "notes", {"a": ("train", scale(80))})
    conversion.convert(ConfigRef("cat-mel_2bar_small"), folder, str(tmp_path / "t"))
    said = capsys.readouterr().err
    assert "cat-mel_2bar_small: its NoteSequences are not augmented" in said
    conversion.convert(ConfigRef("flat-reel_2bar"), folder, str(tmp_path / "u"))
    assert "augment" not in capsys.readouterr().err


def test_folders_that_cannot_be_converted(tunes, tmp_path):
    def refused(message, where=tunes, output=tmp_path / "new", config="flat-reel_2bar"):
        with pytest.raises(UserError, match=message):
            conversion.convert(ConfigRef(config), str(where), str(output))
        assert not (tmp_path / "new").exists()

    refused("no config is named 'nosuch'", config="nosuch")
    refused("no such folder; --input names one that", tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    refused("no job finished there", tmp_path / "empty")
    conversion.convert(ConfigRef("flat-reel_2bar"), tunes, str(tmp_path / "t"))
    refused("kind tensors, not notesequence; --input names the folder", tmp_path / "t")
    refused("holds the records of an older run", output=tmp_path / "t")
    refused("--input as well", output=tunes)
    refused("no record was kept out of 6 read", config="flat-slipjig_16bar")


def test_a_link_to_the_input_is_no_output(tunes, tmp_path):
    """To replace what is there would remove the records that the tensors are made of."""
    before = contents(tmp_path / "notes")
    (tmp_path / "link").symlink_to(tunes)
    with pytest.raises(UserError, match="link: is --input as well; name another --output"):
        conversion.convert(
            ConfigRef("flat-reel_2bar"), tunes, str(tmp_path / "link"), overwrite=True
        )
    with pytest.raises(UserError, match="notes: is --input as well"):
        conversion.convert(
            ConfigRef("flat-reel_2bar"), str(tmp_path / "link"), tunes, overwrite=True
        )
    assert contents(tmp_path / "notes") == before


@pytest.mark.parametrize("arguments", [[], pytest.param(PROCESSES, marks=pytest.mark.slow)])
def test_what_cannot_be_stored_is_one_line(tunes, tmp_path, arguments):
    """A user's subclass of a known converter whose inputs differ from its outputs."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import configs\n"
        "from pipelines.representations.melody_converter import MelodyConverter\n"
        "class Odd(MelodyConverter):\n"
        "    def to_tensors(self, piece):\n"
        "        made = super().to_tensors(piece)\n"
        "        return made._replace(inputs=[~window for window in made.outputs])\n"
        "def mine():\n"
        "    config = configs.get('flat-reel_2bar')\n"
        "    config.data_converter.__class__ = Odd\n"
        "    return config\n"
        "CONFIG_MAP = {'mine': mine}\n"
    )
    with pytest.raises(UserError) as raised:
        conversion.convert(
            ConfigRef("mine", str(path)),
            tunes,
            str(tmp_path / "t"),
            pipeline_arguments=arguments,
        )
    assert re.fullmatch(
        "'(a/1|a/1:2|b/1)': what Odd makes of it cannot be stored as tensors "
        r"\(inputs that differ from the outputs\); train from the NoteSequence records",
        str(raised.value),
    )
    assert not (tmp_path / "t").exists()


def test_missing_and_damaged_input_is_named(tunes, tmp_path):
    shard = sorted((tmp_path / "notes").glob("train*"))[0]
    good = shard.read_bytes()
    shard.write_bytes(good[:-1])
    with pytest.raises(UserError, match=f"{shard.name} is damaged or cut short"):
        conversion.convert(ConfigRef("flat-reel_2bar"), tunes, str(tmp_path / "t"))
    shard.unlink()
    with pytest.raises(UserError, match="names 3 records of train, and there are"):
        conversion.convert(ConfigRef("flat-reel_2bar"), tunes, str(tmp_path / "t"))
    assert not (tmp_path / "t").exists()


@pytest.mark.slow
def test_the_job(tunes, tmp_path):
    flags = ["--config=flat-reel_2bar", f"--input={tunes}", f"--output={tmp_path}/t"]
    done = job("tensors", *flags)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == read_manifest(tmp_path / "t")
    assert "13 examples from 3 of 6 NoteSequences" in done.stderr
    train = json.loads(done.stdout)["splits"]["train"]
    assert (train["records"], train["shards"], len(train["bytes"])) == (11, 4, 4)


def test_the_names_of_batches_are_unique_over_splits_and_shards(tunes, tmp_path):
    source = open_folder(tunes)
    batches = beam_batches.write(tmp_path, conversion._batches(tunes, tunes, source))
    # Three records of train in two shards, two of validation in two, one of test.
    assert len(batches) == len(set(batches)) == 2 + 2 + 1
    read = [line for name in batches for line in read_batch(tmp_path, name)]
    assert sum(number for *_, number in read) == 6
