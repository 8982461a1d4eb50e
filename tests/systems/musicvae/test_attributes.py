"""Attributes of records, the directions that are found for them, and pieces that are edited."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from note_seq.protobuf import music_pb2

from pipelines import representations
from pipelines.examples import reading
from pipelines.media import pieces
from pipelines.music import note_sequence
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import attributes, directions, generation
from pipelines.systems.musicvae import model as trained_model
from pipelines.systems.musicvae.labels import facts_of, labels_of
from pipelines.systems.musicvae.run import open_run
from tests.support.jobs import error_of, job
from tests.support.pieces import drums


def test_facts_of_a_piece():
    piece = drums([(0.0, 36, 90)], qpm=97.6, meter=(6, 8))
    piece.id = "a/1"
    piece.sequence_metadata.title = "Trip"
    piece.sequence_metadata.genre.extend(["latin", "samba"])
    note_sequence.add_label(piece, "take", "2")
    assert facts_of(piece) == {
        "style": "latin, samba",
        "take": "2",
        "title": "Trip",
        "meter": "6/8",
        "tempo": "98",
        "id": "a/1",
    }


def test_labels_of_a_piece():
    piece = music_pb2.NoteSequence()
    piece.sequence_metadata.genre.extend(["jazz", "fusion"])
    piece.sequence_metadata.artist = "drummer1"
    piece.key_signatures.add(key=2, mode=music_pb2.NoteSequence.KeySignature.DORIAN)
    piece.key_signatures.add(key=2, mode=music_pb2.NoteSequence.KeySignature.MINOR, time=5)
    note_sequence.add_label(piece, "beat_type", "fill")
    note_sequence.add_field(piece, "T", "The a=b Reel")
    assert labels_of(piece) == {
        *("style:jazz", "style:fusion", "drummer:drummer1", "mode:dorian", "beat_type:fill")
    }


@pytest.fixture
def run(tiny_run):
    return open_run(str(tiny_run))


@pytest.fixture
def records(groove_records):
    return reading.open_note_sequences(f"{groove_records}/train.tfrecord*")


def midi_file(path: pathlib.Path, bars: int) -> str:
    """One kick and one snare a bar."""
    hits = [
        (2 * bar + late, pitch, 90) for bar in range(bars) for late, pitch in ((0, 36), (1, 38))
    ]
    pieces.write(drums(hits), str(path), draw=False)
    return str(path)


@pytest.mark.slow
def test_directions_of_a_linear_encoder(run, records, monkeypatch):
    """z is (hits a bar, velocity, 0, noise): the density changes along the first alone.

    The decoder plays all hits half as loud, so that it takes twice the change of z to move their
    velocity by one standard deviation of the music.
    """
    rng = np.random.default_rng(0)
    played = []

    def means(model, windows):
        outputs = np.array(windows.outputs)
        played.append(outputs * np.repeat([1, 0.5, 1], 9))
        hits = outputs[..., :9].sum((1, 2)) / 4
        loud = outputs[..., 9:18].sum((1, 2)) / outputs[..., :9].sum((1, 2))
        return np.stack([hits, loud, 0 * hits, rng.normal(size=len(hits))], axis=1)

    monkeypatch.setattr(trained_model, "posterior_means", means)
    monkeypatch.setattr(attributes, "reconstruct", lambda run, loaded, z: played[-1])
    found = attributes.find(run, records, ["density", "velocity_mean"], batch_size=7)
    density, loud = found.attributes["density"], found.attributes["velocity_mean"]
    assert density.windows == loud.windows == found.made_of["windows"] > 50
    assert density.held_out > 0.99 and loud.held_out > 0.95
    # The projection moves what the attribute says by one standard deviation, and nothing else.
    np.testing.assert_allclose(
        density.directions["projected"], [density.sd, 0, 0, 0], atol=0.05 * density.sd
    )
    # Velocities are 127 times those of the outputs.
    np.testing.assert_allclose(
        loud.directions["projected"], [0, 2 * loud.sd / 127, 0, 0], atol=0.05 * density.sd
    )
    assert loud.directions["projected"][1] == pytest.approx(2 * loud.sd / 127, rel=0.1)
    music = [
        each
        for piece in records.pieces()
        for each in representations.of(run.config.data_converter).encode(piece).examples
    ]
    velocities = attributes.measure(
        run, "velocity_mean", np.array([each.outputs for each in music])
    )
    assert (loud.mean, loud.sd) == pytest.approx((velocities.mean(), velocities.std()))
    assert found.made_of["measured_in"] == "reconstructions"


@pytest.mark.slow
def test_by_default_all_that_is_measured(run, records, capsys):
    found = attributes.find(run, records)
    names = set(found.attributes)
    assert {"density", "velocity_mean"} <= names
    assert "kick_profile" not in names  # A histogram is no number.
    # No bar of these grooves is nearly empty.
    assert "nearly_empty" not in names
    said = capsys.readouterr().err
    assert "nearly_empty is left out: all windows have the same value, 0" in said
    # A run of three steps plays no syncopation.
    assert "syncopation" not in names and "in what flat-groove_4bar makes of the windows" in said
    assert found.made_for["config"] == "flat-groove_4bar" and found.made_for["z_size"] == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, message",
    [
        ("densty", "no attribute is named 'densty'; flat-groove_4bar measures density"),
        ("swin", "and labels are written as in style:jazz; did you mean swing"),
        ("style:", "no attribute is named 'style:'"),
        ("style:rok", "no piece that gives a window is labelled style:rok; its labels are style:"),
        ("style:rok", "; did you mean style:rock"),
        ("mood:sad", "is labelled mood:sad; its labels are "),
    ],
)
def test_an_attribute_that_does_not_exist(run, records, name, message):
    with pytest.raises(UserError) as caught:
        attributes.find(run, records, [name])
    assert message in str(caught.value)


@pytest.mark.slow
def test_records_without_a_window(run, records, monkeypatch):
    monkeypatch.setattr(records, "pieces", lambda: iter([drums([(0, 36, 90)])]))
    with pytest.raises(UserError, match="no window for flat-groove_4bar in 1 records; give other"):
        attributes.find(run, records, ["density"])


@pytest.fixture
def edit(run):
    """An edit along the axes of the latent space, for the tiny run's weights."""

    def made(*amounts, **changed):
        loaded = trained_model.load(run, 1, seed=0)
        made_for = {
            "weights_sha256": trained_model.weights_sha256(loaded, run.checkpoint),
            "z_size": 4,
            **changed,
        }
        one = {
            name: directions.Attribute(0, 1, 1, 1, dict.fromkeys(directions.KINDS, axis))
            for name, axis in zip(("density", "style:jazz"), 5 * np.eye(4))
        }
        found = directions.Directions(made_for, {}, one)
        return generation.Edit(found, "a.json", "probe", amounts)

    return made


def generate(run, mode, folder, inputs, edit=None, **options):
    chosen = {"temperature": trained_model.THRESHOLD_TEMPERATURE, "pianoroll": False, **options}
    return generation.generate(run, mode, str(folder), inputs, generation.Options(**chosen), edit)


@pytest.mark.slow
def test_all_windows_are_moved_by_the_amounts(run, tmp_path, edit, monkeypatch):
    decoded = []
    decode = trained_model.decode

    def decoding(model, z, *args):
        decoded.append(z)
        return decode(model, z, *args)

    monkeypatch.setattr(trained_model, "decode", decoding)
    path = midi_file(tmp_path / "in.mid", 10)  # Three windows.
    amounts = ({"density": -1, "style:jazz": 2}, {"density": 0, "style:jazz": 0}, {"density": 1})
    made = generate(run, "edit", tmp_path / "out", [path], edit(*amounts))
    moved = np.concatenate(decoded).reshape(3, 3, 4)
    np.testing.assert_allclose(moved[0] - moved[1], [[-5, 10, 0, 0]] * 3, atol=1e-5)
    np.testing.assert_allclose(moved[2] - moved[1], [[5, 0, 0, 0]] * 3, atol=1e-5)
    assert [pathlib.Path(each).name for each in made] == [
        "flat-groove_4bar_edit_in_probe_density-1.00_style-jazz+2.00_seed0_000-of-003.mid",
        "flat-groove_4bar_edit_in_probe_density+0.00_style-jazz+0.00_seed0_001-of-003.mid",
        "flat-groove_4bar_edit_in_probe_density+1.00_seed0_002-of-003.mid",
    ]
    # An amount of nothing is the reconstruction.
    [same] = generate(run, "reconstruct", tmp_path / "again", [path])
    contents = [pathlib.Path(each).read_bytes() for each in (*made, same)]
    assert contents[1] == contents[3] and len(set(contents)) == 3


@pytest.mark.slow
def test_an_edit_for_another_checkpoint_is_refused(run, tmp_path, edit):
    path = midi_file(tmp_path / "in.mid", 4)
    with pytest.raises(UserError, match=r"^a.json: made for another checkpoint"):
        generate(run, "edit", tmp_path / "out", [path], edit({"density": 1}, weights_sha256="x"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_weights_are_known_again_as_float16(run):
    """What float16 cannot hold makes no difference, and what it can does."""
    loaded = trained_model.load(run, 1, seed=0)
    known = trained_model.weights_sha256(loaded, run.checkpoint)
    assert trained_model.weights_sha256(loaded, run.checkpoint) == known
    real = tf.train.load_checkpoint(run.checkpoint)

    def found(change):
        class Changed:
            def get_tensor(self, name):
                return change(real.get_tensor(name))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tf.train, "load_checkpoint", lambda checkpoint: Changed())
            return trained_model.weights_sha256(loaded, run.checkpoint)

    assert found(lambda tensor: tensor.astype(np.float16).astype(np.float32)) == known
    assert found(lambda tensor: tensor * 1.01) != known


@pytest.mark.slow
def test_the_average_and_the_grid(run, tmp_path):
    a, b = (midi_file(tmp_path / f"{name}.mid", 4) for name in "ab")
    [same] = generate(run, "average", tmp_path / "average", [a, b, a])
    [again] = generate(run, "reconstruct", tmp_path / "again", [a])
    assert pathlib.Path(same).read_bytes() == pathlib.Path(again).read_bytes()
    points = generate(run, "grid", tmp_path / "grid", [a, b, a, b], num_outputs=2)
    assert [pathlib.Path(each).name[-14:] for each in points] == [
        f"{i:03d}-of-004.mid" for i in range(4)
    ]


@pytest.mark.slow
def test_the_jobs(tiny_run, groove_records, tmp_path):
    """Directions are found, beside the checkpoint or where it is said, and a piece is edited."""
    file = tmp_path / "file.json"
    arguments = [f"--run_dir={tiny_run}", f"--examples_path={groove_records}/train.tfrecord*"]
    made = job("attributes", *arguments, "--attributes=density,style:rock", f"--output={file}")
    assert made.returncode == 0, made.stderr
    assert [line.split()[0] for line in made.stdout.splitlines()] == ["density", "style:rock"]
    path = midi_file(tmp_path / "in.mid", 4)
    flags = [f"--run_dir={tiny_run}", f"--output_dir={tmp_path}/out", f"--input={path}", "--seed=1"]
    flags += ["--mode=edit", f"--attributes_file={file}", "--num_outputs=3", "--json"]
    flags += ["--attribute=density", "--attribute=style:rock", "--amount=-1..1,2"]
    done = job("generate", *flags)
    assert done.returncode == 0, done.stderr
    assert [pathlib.Path(each).name for each in json.loads(done.stdout)["files"]] == [
        f"flat-groove_4bar_edit_in_probe_density{amount}_style-rock+2.00_seed1_{i:03d}-of-003.mid"
        for i, amount in enumerate(("-1.00", "+0.00", "+1.00"))
    ]
    read = directions.read(file)
    changed = dataclasses.replace(read, made_for={**read.made_for, "weights_sha256": "x"})
    directions.write(file, changed)
    assert "made for another checkpoint" in error_of(job("generate", *flags))
