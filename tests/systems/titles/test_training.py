"""Training the dual tower: what it learns, the same again, going on, bad input, TensorBoard."""

import csv
import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from configs.titles import Hparams
from pipelines import runs
from pipelines.demo import tunes as builtin_tunes
from pipelines.music.abc import reader, tunebook
from pipelines.records.manifest import open_records
from pipelines.runtime.app import UserError
from pipelines.systems.titles import matching, projector, towers, training
from pipelines.systems.titles import tunes as titled_tunes
from pipelines.systems.titles.embeddings import Embeddings
from pipelines.systems.titles.text_encoders import loading

pytestmark = pytest.mark.keras3

TINY = Hparams(dimensions=16, hidden=32, batch_size=8, num_epochs=4, learning_rate=5e-3)


class Letters(tf.Module):
    """A text encoder: how often some pairs of characters occur."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        pairs = tf.strings.ngrams(tf.strings.unicode_split(texts, "UTF-8"), 2)
        buckets = tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, pairs, 128)
        return tf.reduce_sum(tf.one_hot(buckets, 128), axis=1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """The folder of a SavedModel."""
    folder = str(tmp_path_factory.mktemp("letters") / "encoder")
    tf.saved_model.save(Letters(), folder)
    return folder


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """NoteSequences of built-in tunes, by book."""
    folder = tmp_path_factory.mktemp("corpus") / "tunes"
    builtin_tunes.write_corpus(folder)
    found = {}
    for path in folder.iterdir():
        read = [reader.read(one) for one in tunebook.tunes(tunebook.decode(path.read_bytes()))]
        for number, sequence in enumerate(read):
            sequence.id = f"{path.stem}/{number}"
        found[path.stem] = read
    return found


def copy(sequence):
    return titled_tunes.NoteSequence.FromString(sequence.SerializeToString())


def write(path, sequences):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for sequence in sequences:
            writer.write(sequence.SerializeToString())
    return str(path)


@pytest.fixture(scope="module")
def dozen(sequences, tmp_path_factory):
    """Records of a dozen different tunes."""
    chosen = [*sequences["reels"][:5], *sequences["jigs"][:4], *sequences["others"][:3]]
    return write(tmp_path_factory.mktemp("dozen") / "train.tfrecord", chosen)


def weights(run_dir):
    """All that is in a run's checkpoint, but for how often it was saved."""
    path = tf.train.latest_checkpoint(runs.train_dir(run_dir))
    names = [name for name, _ in tf.train.list_variables(path) if "save_counter" not in name]
    return {name: tf.train.load_variable(path, name) for name in names if name[0] != "_"}


def same_weights(first, second):
    assert first.keys() == second.keys()
    return all(np.array_equal(first[name], second[name]) for name in first)


def summaries(run_dir):
    """What TensorBoard shows: of each name, the values by step."""
    found = {}
    for path in sorted(pathlib.Path(runs.train_dir(run_dir)).glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                number = float(tf.make_ndarray(value.tensor))
                found.setdefault(value.tag, {})[event.step] = number
    return found


@pytest.fixture(scope="module")
def run(dozen, encoder, sequences, tmp_path_factory):
    """A run that was measured on other tunes, and their records."""
    folder = tmp_path_factory.mktemp("run")
    held_out = write(folder / "validation.tfrecord", sequences["others"][30:40])
    training.train(dozen, str(folder / "run"), encoder, held_out, TINY)
    return str(folder / "run")


def test_one_job_trains_in_a_folder(tmp_path):
    with (
        runs.training(tmp_path / "run"),
        pytest.raises(UserError, match="another job .* is training in .*run; wait for it to end"),
    ):
        training.train("no records", str(tmp_path / "run"), "builtin")


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["infonce", "hinge"])
def test_a_dozen_tunes_are_learnt_by_heart(loss, dozen, encoder, tmp_path):
    """`match` finds each tune's own title first."""
    hparams = dataclasses.replace(
        TINY,
        loss=loss,
        num_epochs=40,
        batch_size=12,
        learning_rate=0.01,
        weight_decay=0.0,
        tune_dropout=0.0,
        title_dropout=0.0,
        without_rhythm=0.0,
    )
    run_dir = str(tmp_path / "run")
    training.train(dozen, run_dir, encoder, None, hparams)
    losses = summaries(run_dir)["loss"]
    assert list(losses) == list(range(1, 41))
    assert losses[40] < losses[1] / 50
    matcher = matching.Matcher(run_dir)
    for tune in titled_tunes.read(open_records(dozen)).tunes:
        [sequence] = [one for one in read_sequences(dozen) if one.id == tune.id]
        first = matcher.match(sequence, 1)[0]
        assert first.title in {title.shown for title in tune.titles}
        assert first.existing


def read_sequences(path):
    return [
        titled_tunes.NoteSequence.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(path)
    ]


def test_the_same_seed_gives_the_same_weights(run, dozen, encoder, tmp_path):
    for seed, name in ((0, "again"), (2**40 + 1, "other")):
        training.train(dozen, str(tmp_path / name), encoder, None, TINY, seed)
    first = weights(run)
    assert same_weights(weights(tmp_path / "again"), first)
    assert not same_weights(weights(tmp_path / "other"), first)


class Killed(Exception):
    pass


@pytest.mark.parametrize("loss", ["infonce", pytest.param("hinge", marks=pytest.mark.slow)])
def test_a_run_that_was_killed_goes_on(loss, dozen, encoder, tmp_path, monkeypatch, capsys):
    """And ends as one that was not: weights, moments of the optimizer, what dropout draws."""
    hparams = dataclasses.replace(TINY, loss=loss)
    whole, parts = str(tmp_path / "whole"), str(tmp_path / "parts")
    training.train(dozen, whole, encoder, None, hparams)
    monkeypatch.setattr(training, "_SAVE_SECONDS", 0.0)
    real = training.Pairs.epoch
    for epoch in (0, 1, 3):

        def epochs(self, number, last=epoch):
            for batch in real(self, number):
                yield batch
                if number == last:
                    raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(training.Pairs, "epoch", epochs)
            with pytest.raises(Killed):
                training.train(dozen, parts, encoder, None, hparams)
        with pytest.raises(
            UserError, match="its training has not ended; give the same `titles train` command"
        ):
            towers.open_run(parts)
    training.train(dozen, parts, encoder, None, hparams)
    said = capsys.readouterr().err
    assert [f"going on after epoch {n} of 4" in said for n in (1, 2, 3)] == [True, False, True]
    assert same_weights(weights(parts), weights(whole))
    made_with = [towers.open_run(run_dir)[0].made_with() for run_dir in (whole, parts)]
    assert made_with[0] == made_with[1]
    # What was counted twice is what was done twice.
    assert summaries(parts)["loss"] == summaries(whole)["loss"]


@pytest.mark.parametrize("when", ["write_run_index", "write"])
def test_a_run_killed_after_training_is_finished(
    when, dozen, encoder, tmp_path, monkeypatch, capsys
):
    def kill(*_):
        raise Killed

    run_dir = str(tmp_path / "run")
    owner = training.matching if when == "write_run_index" else training.projector
    with monkeypatch.context() as patch:
        patch.setattr(owner, when, kill)
        with pytest.raises(Killed):
            training.train(dozen, run_dir, encoder, None, TINY)
    before = weights(run_dir)
    training.train(dozen, run_dir, encoder, None, TINY)
    assert same_weights(weights(run_dir), before)
    assert len(matching.Matcher(run_dir).match(read_sequences(dozen)[0])) == 10


@pytest.mark.slow
def test_what_a_run_without_run_json_left_is_made_again(dozen, tmp_path):
    """Its exported encoder has another hash the next time, so its embeddings go with it."""
    run_dir = tmp_path / "run"
    hparams = dataclasses.replace(TINY, num_epochs=1)
    training.train(dozen, str(run_dir), "builtin", None, hparams)
    left = [run_dir / name for name in ("text_encoder", "embeddings")]
    about = (run_dir / "embeddings" / "encoder.json").read_text()
    for path in run_dir.iterdir():
        if path not in left:
            path.unlink() if path.is_file() else shutil.rmtree(path)
    training.train(dozen, str(run_dir), "builtin", None, hparams)
    assert (run_dir / "embeddings" / "encoder.json").read_text() != about
    assert len(matching.Matcher(str(run_dir)).match(read_sequences(dozen)[0])) == 10


def test_a_finished_run_has_nothing_left_to_do(run, dozen, encoder, capsys):
    before = {path: path.stat().st_mtime_ns for path in pathlib.Path(run).rglob("*")}
    validation = str(pathlib.Path(run).parent / "validation.tfrecord")
    training.train(dozen, run, encoder, validation, TINY)
    assert "nothing left to do" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in pathlib.Path(run).rglob("*")} == before


def test_other_settings_are_another_run(run, dozen, encoder):
    validation = str(pathlib.Path(run).parent / "validation.tfrecord")
    settings = [dozen, run, encoder, validation, TINY, 0]
    # Whatever the name of the file: its content counts.
    other_records = str(pathlib.Path(run).parent / "other-records.tfrecord")
    pathlib.Path(other_records).write_bytes(pathlib.Path(validation).read_bytes())
    for at, value, name in (
        (0, other_records, "records"),
        (2, "builtin", "text_encoder"),
        (4, dataclasses.replace(TINY, loss="hinge"), "hparams"),
        (4, dataclasses.replace(TINY, num_epochs=5), "hparams"),
        (5, 1, "seed"),
    ):
        other = [*settings[:at], value, *settings[at + 1 :]]
        with pytest.raises(
            UserError, match=f"begun with another {name}\\b.*name another --run_dir"
        ):
            training.train(*other)


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "titles"}', "\xff", "name"])
def test_a_damaged_run_is_named(run, dozen, encoder, tmp_path, text):
    path = tmp_path / "run.json"
    if text == "name":
        found = json.loads(pathlib.Path(run, "run.json").read_text())
        del found["text_encoder"]["name"]
        text = json.dumps(found)
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match="run.json( is damaged|: not JSON|: not a JSON object)"):
        training.train(dozen, str(tmp_path), encoder, None, TINY)


def test_another_kind_of_run_is_left_alone(dozen, encoder, tmp_path):
    (tmp_path / "run.json").write_text('{"kind": "music_vae"}')
    with pytest.raises(UserError, match="is a run of music_vae, not of titles"):
        training.train(dozen, str(tmp_path), encoder, None, TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("how", ["empty", "garbage", "gone"])
def test_a_damaged_checkpoint_is_named(run, dozen, encoder, tmp_path, suffix, how):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    [path] = (copy / "train").glob(f"*{suffix}")
    path.write_bytes(b"garbage" * 100 if how == "garbage" else b"")
    if how == "gone":
        path.unlink()
    with pytest.raises(UserError, match="damaged|has no checkpoint"):
        towers.open_run(str(copy))
    metadata = towers.read_metadata(copy)
    runs.write(copy, "titles", {**metadata, "finished": False})
    with pytest.raises(UserError, match="ckpt-4 is damaged"):
        training.train(dozen, str(copy), encoder, metadata["validation_path"], TINY)


def pairs_of(tmp_path, sequences, encoder, **kwargs):
    path = write(tmp_path / "pairs.tfrecord", sequences)
    found = titled_tunes.read(open_records(path), guess_keys=True).titled()
    hparams = dataclasses.replace(TINY, **kwargs)
    embeddings = Embeddings(loading.load(encoder))
    return found, embeddings, training.Pairs(found, embeddings, hparams, seed=0)


def test_an_epoch_is_batches_of_one_size(sequences, encoder, tmp_path):
    found, embeddings, pairs = pairs_of(
        tmp_path, sequences["reels"][:30], encoder, without_rhythm=0.0, guessed_key=0.0
    )
    titles = [(number, title) for number, one in enumerate(found.tunes) for title in one.titles]
    assert len(pairs) == len(titles) >= 30 and len(titles) % 8
    shown = np.concatenate(
        [towers.arrays([one.melody for one in found.tunes])["notes"][[n for n, _ in titles]]
         .reshape(len(titles), -1),
         embeddings([title.text for _, title in titles])], axis=1
    )  # fmt: skip
    known = {row.tobytes() for row in shown}
    seen = set()
    for number in range(12):
        batches = list(pairs.epoch(number))
        assert len(batches) == pairs.batches == len(titles) // 8
        rows = []
        for batch in batches:
            assert {name: value.shape[0] for name, value in batch.items()} == dict.fromkeys(
                batch, 8
            )
            notes = batch["notes"].reshape(8, -1)
            joined = np.concatenate([notes, batch["title"]], axis=1)
            rows += [row.tobytes() for row in joined]
        # None twice in an epoch, each a tune with a title of its own, and all in the end.
        assert len(set(rows)) == len(rows) and set(rows) <= known
        seen.update(rows)
        again = list(pairs.epoch(number))
        for one, other in zip(batches, again, strict=True):
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])
    assert seen == known


def test_what_is_no_negative(sequences, encoder, tmp_path):
    """Versions of one tune, tunes of one title, two titles of one tune; and nothing else."""
    base = [copy(one) for one in sequences["reels"][:6]]
    version, namesake = copy(base[0]), copy(sequences["jigs"][0])
    for number, (sequence, title) in enumerate(
        (*zip(base, ("One Dog", "Two Cats", "Three Cows", "Four Hens", "Five Ducks", "The Sixth")),
         (version, "Something Else"), (namesake, "Two Cats, The"))
    ):  # fmt: skip
        kept = [a for a in sequence.text_annotations if not a.text.startswith("T:")]
        del sequence.text_annotations[:]
        sequence.text_annotations.extend(kept)
        sequence.text_annotations.add(text=f"T:{title}")
        sequence.id = f"made/{number}"
    base[2].text_annotations.add(text="T:Black Crow")
    everything = [*base, version, namesake]
    found, embeddings, pairs = pairs_of(
        tmp_path, everything, encoder, batch_size=100, without_rhythm=0.0
    )
    [batch] = pairs.epoch(0)
    names = [title.text for one in found.tunes for title in one.titles]
    rows = {tuple(vector): name for vector, name in zip(embeddings(names), names, strict=True)}
    # Folded, the namesake's title is another spelling of the same.
    order = [rows[tuple(vector)] for vector in batch["title"]]
    together = [{"one dog", "something else"}, {"three cows", "black crow"},
                {name for name in names if "two cats" in name}]  # fmt: skip
    assert len(order) == 9, (names, found.untitled)
    for row, one in zip(batch["same"], order):
        for same, other in zip(row, order):
            assert same == (one == other or any({one, other} <= some for some in together))


def test_rhythm_words_and_keys_are_now_and_then_left_out(sequences, encoder, tmp_path):
    texts = [copy(one) for one in sequences["others"][:8]]
    always = {"without_rhythm": 1.0, "guessed_key": 1.0, "batch_size": 100}
    for sequence in texts:
        sequence.text_annotations.add(text=f"T:{sequence.sequence_metadata.title} Hornpipe")
    found, embeddings, pairs = pairs_of(tmp_path, texts, encoder, **always)
    bare = {training.title_text.without_rhythm(t.text) for one in found.tunes for t in one.titles}
    [batch] = pairs.epoch(0)
    assert {tuple(row) for row in batch["title"]} == {tuple(row) for row in embeddings(bare)}
    guessed = towers.arrays([one.guessed for one in found.tunes])["notes"]
    shown = {row.tobytes() for row in batch["notes"]}
    assert shown == {row.tobytes() for row in guessed}


def test_one_tune_is_too_few(sequences, encoder, tmp_path):
    for count, tunes in enumerate(([sequences["reels"][7]], [sequences["reels"][8]] * 3)):
        path = write(tmp_path / f"{count}.tfrecord", tunes)
        with pytest.raises(UserError, match="1 different tunes have 1 .* 2 are needed"):
            training.train(path, str(tmp_path / "run"), encoder, None, TINY)
    assert not (tmp_path / "run").exists()


def test_no_titles_and_no_notes(sequences, encoder, tmp_path):
    untitled = []
    for sequence in sequences["reels"][10:13]:
        untitled.append(titled_tunes.NoteSequence(id=sequence.id, notes=sequence.notes))
    for tunes, message in (
        (untitled, "0 different tunes have 0 different titles"),
        ([titled_tunes.NoteSequence()] * 2, "no tune with a melody"),
    ):
        path = write(tmp_path / "x.tfrecord", tunes)
        with pytest.raises(UserError, match=message):
            training.train(path, str(tmp_path / "run"), encoder, None, TINY)


@pytest.mark.slow
def test_two_tunes_are_enough(sequences, encoder, tmp_path):
    """A batch of two; and, where it is asked for, batches of one, which teach nothing."""
    path = write(tmp_path / "two.tfrecord", sequences["reels"][20:22])
    for name, run_dir in ((encoder, tmp_path / "two"), ("builtin", tmp_path / "builtin")):
        training.train(path, str(run_dir), name, None, dataclasses.replace(TINY, num_epochs=1))
        assert all(np.isfinite(list(summaries(run_dir)["loss"].values())))
    one = dataclasses.replace(TINY, batch_size=1, num_epochs=1)
    training.train(path, str(tmp_path / "one"), encoder, None, one)
    assert summaries(tmp_path / "one")["loss"] == {1: 0.0}


@pytest.mark.parametrize("loss", ["infonce", "hinge"])
@pytest.mark.parametrize("num_epochs, batch_size", [(3, 4), (1, 100)])
def test_what_is_no_number_is_not_saved(num_epochs, batch_size, loss, dozen, encoder, tmp_path):
    """With one step in all, the loss before it is fine and the weights after it are not."""
    wild = dataclasses.replace(
        TINY, learning_rate=1e38, num_epochs=num_epochs, batch_size=batch_size, loss=loss
    )
    with pytest.raises(UserError, match="the loss is .*lower --learning_rate"):
        training.train(dozen, str(tmp_path), encoder, None, wild)
    assert tf.train.latest_checkpoint(runs.train_dir(tmp_path)) is None
    assert not towers.read_metadata(tmp_path)["finished"]


def test_tensorboard_shows_losses_and_retrieval(run):
    found = summaries(run)
    kinds = {"MRR", "R@10", "median rank"}
    expected = {f"validation/{way}/{kind}" for way in ("tune_to_title", "title_to_tune")
                for kind in kinds} | {"loss", "temperature"}  # fmt: skip
    assert found.keys() == expected
    for values in found.values():
        assert list(values) == [1, 2, 3, 4]
        assert np.isfinite(list(values.values())).all()
    assert len(set(found["temperature"].values())) == 4
    assert all(0.01 <= one < 0.2 for one in found["temperature"].values())
    assert all(0 < one <= 1 for one in found["validation/tune_to_title/MRR"].values())


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_projector_has_a_row_for_each_tune(run, dozen):
    folder = pathlib.Path(runs.train_dir(run))
    trained, _ = towers.open_run(run)
    found = titled_tunes.read(open_records(dozen)).tunes
    head, *points = rows_of(folder / "projector-points.tsv")
    assert head == ["title", "rhythm", "mode", "meter", "id"]
    assert [(row[0], row[4]) for row in points] == [(t.titles[0].shown, t.id) for t in found]
    assert {row[1] for row in points} >= {"reel", "jig"}
    for name, vectors in (
        ("tunes", trained.tune_vectors([tune.melody for tune in found])),
        ("titles", trained.title_vectors([tune.titles[0].text for tune in found])),
    ):
        written = np.array(rows_of(folder / f"projector-{name}.tsv"), float)
        np.testing.assert_allclose(written, vectors, atol=1e-5)
        text = (folder / "projector_config.pbtxt").read_text()
        assert f'tensor_path: "projector-{name}.tsv"' in text
    assert text.count('metadata_path: "projector-points.tsv"') == 2


@pytest.mark.slow
def test_odd_titles_do_no_harm_to_the_projector(run, dozen, tmp_path, monkeypatch):
    trained, _ = towers.open_run(run, keep_embeddings=False)
    one = titled_tunes.read(open_records(dozen)).tunes[0]
    odd = ["A\tB", "C\nD", 'said "E"', "\u2028F", "\U0001f3bb Ó", "\ud800 G", "#H"]
    tunes = [one._replace(titles=(one.titles[0]._replace(shown=text),)) for text in odd]
    tunes.append(one._replace(rhythm="", mode="", meter="", id="x\r\ny"))
    projector.write(tmp_path, trained, tunes, 0)
    _, *points = rows_of(tmp_path / "projector-points.tsv")
    assert len(points) == len(tunes) == len(rows_of(tmp_path / "projector-tunes.tsv"))
    assert {len(row) for row in points} == {5}
    assert [row[0] for row in points[:3]] == ["A B", "C D", 'said "E"']
    monkeypatch.setattr("pipelines.media.projector.MAX_POINTS", 3)
    projector.write(tmp_path, trained, tunes, 0)
    files = [f"projector-{name}.tsv" for name in ("points", "tunes", "titles")]
    assert [len(rows_of(tmp_path / name)) for name in files] == [4, 3, 3]
    assert not list(tmp_path.glob("*.tmp"))
