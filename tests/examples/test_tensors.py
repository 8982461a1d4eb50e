"""Tensors to training batches."""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import configs
from configs import ConfigRef
from pipelines.examples import conversion, fingerprint, reading, tensors
from pipelines.records import tfrecord
from pipelines.records.manifest import read_manifest, record_files
from pipelines.runtime import files
from pipelines.runtime.app import UserError
from tests.support.datasets import count, finish, run_dataset, training_dataset
from tests.support.jobs import ROOT
from tests.support.pieces import drums, piece_for, random_tune
from tests.support.trained import TINY, train_run


@pytest.fixture(scope="module")
def grooves(tmp_path_factory):
    """64 windows of four bars, all different, in five shards, and the NoteSequences they are of."""
    folder = tmp_path_factory.mktemp("grooves")
    rng = np.random.default_rng(0)
    pieces = {
        f"piece{bars}": (
            "train",
            drums(
                [
                    (2.0 * bar + step / 8, 36 + 2 * int(rng.integers(2)), int(rng.integers(1, 128)))
                    for bar in range(bars)
                    for step in range(16)
                ]
            ),
        )
        for bars in (40, 30)
    }
    notes = finish(folder / "notes", pieces)
    conversion.convert(ConfigRef("flat-groove_4bar"), notes, str(folder / "t"), num_shards=5)
    return folder


@pytest.fixture(scope="module")
def melodies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("melodies")
    rng = np.random.default_rng(0)
    notes = finish(
        folder / "notes", {f"tune{i}": ("train", random_tune(rng, steps=100)) for i in range(20)}
    )
    conversion.convert(ConfigRef("flat-reel_2bar"), notes, str(folder / "t"), num_shards=3)
    return folder


def config_of(name, batch_size):
    config = configs.get(name)
    config.hparams.batch_size = batch_size
    return config


def outputs_of(batches):
    return collections.Counter(window.tobytes() for batch in batches for window in batch[1])


def windows_of(folder, config):
    """The outputs of a folder of NoteSequences, as the converter itself makes them."""
    converter = config.data_converter
    converter.set_mode("eval")
    return collections.Counter(
        np.asarray(window, converter.output_dtype).tobytes()
        for piece in reading.open_note_sequences(f"{folder}/notes/train.tfrecord*").pieces()
        for window in converter.to_tensors(piece).outputs
    )


def test_an_epoch_has_every_window_once(grooves):
    config = config_of("flat-groove_4bar", 16)
    expected = windows_of(grooves, config)
    assert sum(expected.values()) == 64
    path = f"{grooves}/t/train.tfrecord*"
    epochs = run_dataset(lambda: training_dataset(config, path, seed=3), 12)
    epochs = [epochs[:4], epochs[4:8], epochs[8:]]
    assert all(outputs_of(epoch) == expected for epoch in epochs)
    # Each epoch is in another order.
    assert len({b"".join(batch[1].tobytes() for batch in epoch) for epoch in epochs}) == 3


def test_the_same_elements_as_from_note_sequences(grooves):
    config = config_of("flat-groove_4bar", 16)
    tf.disable_v2_behavior()
    specs = []
    for kind in ("notes", "t"):
        with tf.Graph().as_default():
            path = f"{grooves}/{kind}/train.tfrecord*"
            dataset = training_dataset(config, path, seed=3)
            specs.append((tf.data.get_output_types(dataset), tf.data.get_output_shapes(dataset)))
    (types, shapes), (our_types, our_shapes) = specs
    assert our_types == types
    # The batch size is static in both, the number of steps only in ours.
    assert [shape.as_list() for shape in shapes] == [[16, None, 27]] * 2 + [[16, None, 0], [16]]
    assert [shape.as_list() for shape in our_shapes] == [[16, 64, 27]] * 2 + [[16, 64, 0], [16]]


@pytest.mark.slow
def test_seeds_repeat_whatever_the_parallelism(melodies, monkeypatch):
    config = config_of("flat-reel_2bar", 8)
    path = f"{melodies}/t/train.tfrecord*"

    def batches(seed):
        made = run_dataset(lambda: training_dataset(config, path, seed=seed), 30)
        return [array.tobytes() for batch in made for array in batch]

    first = batches(1)
    assert batches(1) == first and batches(2) != first
    monkeypatch.setattr(tf.data, "AUTOTUNE", 1)
    monkeypatch.setattr(tensors.tf.data, "AUTOTUNE", 1)
    assert batches(1) == first
    # Without a seed, each run differs.
    assert batches(None) != batches(None)


def test_augmentation_is_fresh_each_epoch(melodies):
    """In the next epoch a window has another transposition, and is otherwise the same."""
    config = config_of("flat-reel_2bar", 1)
    path = f"{melodies}/t/train.tfrecord*"
    n = count(None, path).examples
    batches = run_dataset(lambda: training_dataset(config, path, seed=0), 4 * n)
    epochs = [batches[i * n : (i + 1) * n] for i in range(4)]

    def shape(window):
        tokens = window.argmax(-1)
        notes = tokens >= 2
        return tuple(np.where(notes, tokens - tokens[notes][0] + 100, tokens))

    shapes = [collections.Counter(shape(b[1][0]) for b in epoch) for epoch in epochs]
    assert all(one == shapes[0] for one in shapes)
    assert len({tuple(sorted(outputs_of(epoch).items())) for epoch in epochs}) == 4
    for inputs, outputs, _, lengths in batches:
        np.testing.assert_array_equal(inputs, outputs)
        assert lengths.tolist() == [32]


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [2, 3, 7])
def test_workers_have_disjoint_and_complete_shares(grooves, num_workers):
    """This holds for any seeds; shares differ by at most one window for each file."""
    config = config_of("flat-groove_4bar", 1)
    path = f"{grooves}/t/train.tfrecord*"
    total = collections.Counter()
    for worker in range(num_workers):
        batches = run_dataset(
            lambda worker=worker: training_dataset(
                config, path, seed=worker, worker=worker, num_workers=num_workers
            ),
            2 * 64,
        )
        seen = outputs_of(batches)
        share = len(seen)
        assert abs(share - 64 / num_workers) <= 5
        # Its own windows again and again, each equally often.
        assert max(seen.values()) - min(seen.values()) <= 1
        total.update(dict.fromkeys(seen, 1))
    assert total == windows_of(grooves, config)


def test_every_worker_has_something_even_of_tiny_files(tmp_path, grooves):
    """With three shards of one window each, three workers get one each; none gets all."""
    config = config_of("flat-groove_4bar", 1)
    notes = finish(
        tmp_path / "notes",
        {
            f"p{i}": ("train", drums([(2.0 * bar, 36, 40 + i) for bar in range(4)]))
            for i in range(3)
        },
    )
    conversion.convert(ConfigRef("flat-groove_4bar"), notes, str(tmp_path / "t"), num_shards=3)
    seen = collections.Counter()
    for worker in range(3):
        batches = run_dataset(
            lambda worker=worker: training_dataset(
                config, f"{tmp_path}/t/train.tfrecord*", seed=0, worker=worker, num_workers=3
            ),
            3,
        )
        assert len(outputs_of(batches)) == 1
        seen += outputs_of(batches)
    assert sorted(seen.values()) == [3, 3, 3]


def test_counting_reads_no_record(grooves, monkeypatch):
    config = config_of("flat-groove_4bar", 16)
    monkeypatch.setattr(tfrecord, "read_at", None)
    path = f"{grooves}/t/train.tfrecord*"
    assert count(config, path).examples == 64
    shards = record_files(path)
    assert sum(count(config, shard).examples for shard in shards) == 64
    assert count(config, ",".join(shards[:2])).examples == 12 + 13
    monkeypatch.undo()
    for shard in shards:
        assert count(config, shard).examples == len(list(tfrecord.read(shard)))
    assert "64 examples" in count(config, path).summary()


def test_files_that_the_manifest_does_not_name(grooves, tmp_path):
    stray = pathlib.Path(grooves, "t", "train.tfrecord-00000-of-00009")
    stray.write_bytes(b"")
    try:
        with pytest.raises(
            UserError, match="00000-of-00009 is not among the shards that manifest.json"
        ):
            count(config_of("flat-groove_4bar", 1), f"{grooves}/t/train.tfrecord*")
    finally:
        stray.unlink()


@pytest.fixture
def copied(grooves, tmp_path):
    """A copy of the tensors, for a test to damage."""
    return pathlib.Path(shutil.copytree(grooves / "t", tmp_path / "t"))


def shard_of(folder, number):
    return folder / f"train.tfrecord-{number:05d}-of-00005"


def refused(pattern, message):
    """Counting, which comes before training, ends in one line that names the file and the fix."""
    with pytest.raises(UserError, match=message) as raised:
        count(config_of("flat-groove_4bar", 16), str(pattern))
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith("copy its folder again, or make the records again")


def without_sizes(folder):
    """Turns the manifest into one of an older version."""
    manifest = read_manifest(folder)
    for split in manifest["splits"].values():
        del split["bytes"]
    files.write_json(folder / "manifest.json", manifest)


@pytest.mark.parametrize("old", [False, True])
def test_empty_shards_are_refused(copied, old):
    if old:
        without_sizes(copied)
    shard_of(copied, 3).write_bytes(b"")
    refused(f"{copied}/train.tfrecord*", "train.tfrecord-00003-of-00005 was cut short .* 0 bytes")
    for number in range(5):
        shard_of(copied, number).write_bytes(b"")
    refused(f"{copied}/train.tfrecord*", "train.tfrecord-00000-of-00005 was cut short .* 0 bytes")


def test_a_shard_cut_between_two_records_is_refused(copied):
    """TensorFlow and `tfrecord.read` take such a shard for a whole file."""
    shard = shard_of(copied, 1)
    size = shard.stat().st_size
    *_, (last, _) = tfrecord.read_at(shard)
    os.truncate(shard, last)
    assert len(list(tfrecord.read(shard))) == 12
    refused(
        f"{copied}/train.tfrecord*",
        f"00001-of-00005 was cut short .* {last} bytes and not the {size} that manifest.json",
    )


@pytest.mark.parametrize("old", [False, True])
def test_missing_shards_are_refused(copied, old):
    if old:
        without_sizes(copied)
    shard_of(copied, 4).unlink()
    missing = "train.tfrecord-00004-of-00005 is missing, but manifest.json"
    refused(f"{copied}/train.tfrecord*", missing)
    refused(f"{copied}/train.tfrecord-0000[34]*", missing)
    # A pattern that does not match it counts only the others.
    config = config_of("flat-groove_4bar", 16)
    assert count(config, f"{copied}/train.tfrecord-0000[0-3]*").examples == 51
    assert count(config, str(shard_of(copied, 0))).examples == 12


def test_a_folder_without_any_shard_is_noticed_beside_another(grooves, copied, tmp_path):
    shutil.copytree(grooves / "t", tmp_path / "u")
    config = config_of("flat-groove_4bar", 16)
    assert count(config, f"{tmp_path}/*/train.tfrecord*").examples == 2 * 64
    for number in range(5):
        shard_of(copied, number).unlink()
    refused(f"{tmp_path}/*/train.tfrecord*", "t/train.tfrecord-00000-of-00005 is missing")
    assert count(config, f"{tmp_path}/u/train.tfrecord*").examples == 64


@pytest.mark.parametrize(
    "config, hparams, message",
    [
        ("flat-groove_4bar", "batch_size=3,z_size=7", None),
        # The same conversion, whatever the model.
        ("hierdec-groove_4bar", "", None),
        ("groovae_4bar", "", "in another way"),
        ("flat-groove_16bar", "", r"max_seq_len=64 \(now 256\)"),
        ("flat-reel_2bar", "", "max_seq_len=64 .now 32., rhythm=None .now ''."),
        ("flat-groove_2bar-tap", "", r"max_seq_len=64 \(now 32\)"),
    ],
)
def test_only_what_converts_alike_trains(grooves, config, hparams, message):
    made = configs.get(config)
    made.hparams.parse(hparams)
    path = f"{grooves}/t/train.tfrecord*"
    if message is None:
        reading.open_examples(path).require_fit(config, made)
        return
    with pytest.raises(UserError, match=message) as raised:
        reading.open_examples(path).require_fit(config, made)
    assert f"tensors of flat-groove_4bar, which {config} cannot train on" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("other", ["flat-jig_2bar", "flat-waltz_2bar"])
def test_meters_with_equally_long_bars_are_told_apart(tmp_path, other):
    meter = {"flat-jig_2bar": (6, 8), "flat-waltz_2bar": (3, 4)}
    notes = finish(
        tmp_path / "notes", {"a": ("train", random_tune(np.random.default_rng(0), meter[other]))}
    )
    conversion.convert(ConfigRef(other), notes, str(tmp_path / "t"))
    path = f"{tmp_path}/t/train.tfrecord*"
    for name in meter:
        if name == other:
            reading.open_examples(path).require_fit(name, configs.get(name))
        else:
            with pytest.raises(UserError, match="converts in another way"):
                reading.open_examples(path).require_fit(name, configs.get(name))


@pytest.mark.slow
def test_another_process_describes_a_conversion_alike():
    """Hashes of strings differ there, and this converter has sets and maps of strings."""
    name = "cat-mel_2bar_med_chords"
    code = (
        "import json, configs\n"
        "from pipelines.examples import fingerprint\n"
        f"print(json.dumps(fingerprint.describe(configs.get({name!r}))))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert json.loads(done.stdout) == fingerprint.describe(configs.get(name)), done.stderr


def test_another_rhythm_is_another_conversion(melodies):
    config = configs.get("flat-reel_2bar")
    config.hparams.parse("rhythm=reel")
    with pytest.raises(UserError, match=r"rhythm='' \(now 'reel'\)"):
        reading.open_examples(f"{melodies}/t/train.tfrecord*").require_fit("flat-reel_2bar", config)


def test_note_sequences_fit_every_config(grooves):
    path = f"{grooves}/notes/train.tfrecord*"
    reading.open_examples(path).require_fit("flat-reel_2bar", configs.get("flat-reel_2bar"))
    reading.open_note_sequences(path)
    with pytest.raises(UserError, match="give the NoteSequence records that they were made of"):
        reading.open_note_sequences(f"{grooves}/t/train.tfrecord*")


def test_mixtures_and_unfinished_folders_are_refused(grooves, tmp_path):
    config = config_of("flat-groove_4bar", 1)
    both = f"{grooves}/t/train.tfrecord*,{grooves}/notes/train.tfrecord*"
    with pytest.raises(UserError, match="cannot be mixed"):
        reading.open_examples(both).require_fit("flat-groove_4bar", config)
    with pytest.raises(UserError, match="no file matches"):
        reading.open_examples(f"{tmp_path}/absent*").require_fit("flat-groove_4bar", config)
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / "train.tfrecord-00000-of-00001").write_bytes(b"")
    with pytest.raises(UserError, match="at work or was killed"):
        reading.open_examples(f"{tmp_path}/train.tfrecord*").require_fit("flat-groove_4bar", config)


def test_damage_is_an_error_while_training(grooves, tmp_path):
    """TensorFlow checks the checksums that we wrote, so nothing damaged is trained on."""
    for file in pathlib.Path(grooves, "t").iterdir():
        content = bytearray(file.read_bytes())
        if file.name.startswith("train.tfrecord-00001"):
            content[len(content) // 2] ^= 0x10
        (tmp_path / file.name).write_bytes(content)
    config = config_of("flat-groove_4bar", 16)
    with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
        run_dataset(lambda: training_dataset(config, f"{tmp_path}/train.tfrecord*", seed=0), 4)


def test_folders_of_several_corpora_are_read_together(grooves, tmp_path):
    notes = finish(
        tmp_path / "notes", {"other": ("train", drums([(2.0 * bar, 38, 99) for bar in range(5)]))}
    )
    conversion.convert(ConfigRef("flat-groove_4bar"), notes, str(tmp_path / "t"))
    config = config_of("flat-groove_4bar", 6)
    path = f"{grooves}/t/train.tfrecord*,{tmp_path}/t/train.tfrecord*"
    assert count(config, path).examples == 64 + 2
    epoch = outputs_of(run_dataset(lambda: training_dataset(config, path, seed=0), 11))
    assert epoch == windows_of(grooves, config) + windows_of(tmp_path, config)


def test_windows_of_several_lengths_are_padded_to_the_longest(tmp_path):
    """A user's converter; the manifest says that some windows are shorter than the model takes."""
    path = tmp_path / "mine.py"
    path.write_text(
        "from magenta.models.music_vae import data\n"
        "from configs import magenta\n"
        "def mine():\n"
        "    config = magenta.CONFIGS['flat-mel_16bar']()\n"
        "    return config._replace(data_converter=data.OneHotMelodyConverter())\n"
        "CONFIG_MAP = {'mine': mine}\n"
    )
    rng = np.random.default_rng(1)
    tunes = {f"t{i}": ("train", random_tune(rng, steps=40 * i)) for i in (1, 2, 3)}
    notes = finish(tmp_path / "notes", tunes)
    made = conversion.convert(ConfigRef("mine", str(path)), notes, str(tmp_path / "t"))
    assert made["full_length"] < made["examples"]
    config = configs.get("mine", str(path))
    config.hparams.batch_size = made["examples"]
    pattern = f"{tmp_path}/t/train.tfrecord*"
    reading.open_examples(pattern).require_fit("mine", config)
    [batch] = run_dataset(lambda: training_dataset(config, pattern, seed=0), 1)
    _, outputs, _, lengths = batch
    assert outputs.shape == (made["examples"], max(lengths), 90) and len({*lengths}) > 1
    cut = [window[:n].tobytes() for window, n in zip(outputs, lengths)]
    assert collections.Counter(cut) == windows_of(tmp_path, config)
    assert not any(window[n:].any() for window, n in zip(outputs, lengths))


@pytest.mark.slow
def test_lengths_of_segments(tmp_path):
    config = config_of("hier-multiperf_vel_1bar_med_chords", 4)
    notes = finish(tmp_path / "notes", {"a": ("train", piece_for(config))})
    conversion.convert(ConfigRef("hier-multiperf_vel_1bar_med_chords"), notes, str(tmp_path / "t"))
    path = f"{tmp_path}/t/train.tfrecord*"
    [batch] = run_dataset(lambda: training_dataset(config, path, seed=0), 1)
    assert batch[2].shape == (4, 512, config.data_converter.control_depth)
    assert batch[3].shape == (4, 8)
    # Each segment ends with the end token.
    last = batch[1].reshape(4, 8, 64, -1)
    for example, lengths in zip(last, batch[3]):
        for segment, n in zip(example, lengths):
            assert segment[n - 1].argmax() == config.data_converter.end_token
            assert not segment[n:].any()


def test_the_shuffle_buffer_is_bounded_in_bytes(grooves, monkeypatch):
    """A buffer of one record leaves the files mixed, and an epoch complete."""
    monkeypatch.setattr(tensors, "_SHUFFLE_BYTES", 1)
    config = config_of("flat-groove_4bar", 16)
    path = f"{grooves}/t/train.tfrecord*"
    epoch = run_dataset(lambda: training_dataset(config, path, seed=3), 4)
    assert outputs_of(epoch) == windows_of(grooves, config)


@pytest.mark.slow
def test_training_from_tensors(grooves, tmp_path):
    """The whole of train; a second call finds the run finished."""
    folder = grooves / "t"
    assert train_run(folder, tmp_path / "run", num_steps=2, hparams=TINY) == 2
    assert os.path.exists(tmp_path / "run" / "run.json")
    assert train_run(folder, tmp_path / "run", num_steps=2, hparams=TINY) == 0


@pytest.mark.slow
def test_examples_that_end_are_an_error(grooves, tmp_path, monkeypatch):
    """This happens where a shard is emptied after it was counted."""
    endless = tensors.Tensors.training_dataset
    monkeypatch.setattr(
        tensors.Tensors,
        "training_dataset",
        lambda *args, **kwargs: endless(*args, **kwargs).take(2),
    )
    with pytest.raises(UserError, match="examples ended at step 2 of 5, .* Make the records again"):
        train_run(grooves / "t", tmp_path / "run", num_steps=5, hparams=TINY)
    monkeypatch.undo()
    # The steps that were trained are kept.
    assert train_run(grooves / "t", tmp_path / "run", num_steps=3, hparams=TINY) == 1


def test_a_manifest_of_another_version_is_refused(grooves, tmp_path):
    for file in pathlib.Path(grooves, "t").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    manifest = read_manifest(tmp_path)
    del manifest["converter"]
    files.write_json(tmp_path / "manifest.json", manifest)
    with pytest.raises(UserError, match="converts in another way"):
        reading.open_examples(f"{tmp_path}/train.tfrecord*").require_fit(
            "flat-groove_4bar", configs.get("flat-groove_4bar")
        )
