"""A model in this process: the same calls give the same notes, and the graph is built once."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import reelgroove
from pipelines.systems.musicvae import directions
from pipelines.systems.musicvae import model as trained_model
from tests.support.jobs import ROOT
from tests.support.pieces import drums, melody

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tiny_run):
    return reelgroove.load(tiny_run, batch_size=4)


@pytest.fixture
def beat():
    return drums([(0.5 * i, 36 if i % 2 else 38, 90) for i in range(16)])


def notes(piece):
    return [(note.start_time, note.pitch, note.velocity) for note in piece.notes]


def test_a_model_says_what_it_is(model, tiny_run):
    assert repr(model) == f"<Model flat-groove_4bar, step 3, {tiny_run}/train/model.ckpt-3>"
    assert model.hparams["z_size"] == 4
    made = {"sample", "reconstruct", "interpolate", "edit", "average", "grid"}
    assert {*made, "name", "step"} <= set(dir(model))


def test_samples_depend_on_their_seed_alone(model, monkeypatch):
    def built(*args):
        raise AssertionError("the graph is built again")

    monkeypatch.setattr(trained_model, "load", built)
    first = model.sample(6, seed=1, temperature=2.0)
    other = model.sample(6, seed=2, temperature=2.0)
    again = reelgroove.sample(model, 6, seed=1, temperature=2.0)
    assert len(first) == 6 and all(piece.total_time == 8.0 for piece in first)
    assert list(map(notes, first)) == list(map(notes, again)) != list(map(notes, other))
    assert any(first[0].notes)
    # Without a seed, each call draws anew.
    drawn = [notes(piece) for _ in range(2) for piece in model.sample(1, temperature=2.0)]
    assert drawn[0] != drawn[1]


def test_tempo(model):
    [piece] = model.sample(1, seed=1, qpm=60)
    assert piece.tempos[0].qpm == 60 and piece.total_time == 16.0


def test_a_piece_is_reconstructed_from_a_sequence_or_a_file(model, beat, tmp_path):
    path = reelgroove.save(beat, tmp_path / "beat.mid")
    again = model.reconstruct(path)
    assert again.total_time == 8.0
    assert notes(again) == notes(model.reconstruct(pathlib.Path(path)))
    assert len(model.reconstruct(beat, qpm=60).tempos) == 1
    assert model.reconstruct(beat, qpm=60).total_time == 16.0


def test_a_way_from_one_piece_to_another(model, beat):
    way = model.interpolate(beat, beat, number=3, temperature=trained_model.THRESHOLD_TEMPERATURE)
    assert len(way) == 3 and notes(way[0]) == notes(way[1]) == notes(way[2])


GREEDY = trained_model.THRESHOLD_TEMPERATURE


@pytest.fixture
def directions_file(model, tmp_path):
    """Directions along the axes of the latent space, so long that they change what is played."""
    made_for = {"weights_sha256": model._player.weights_sha256(), "z_size": 4}
    attributes = {
        name: directions.Attribute(0, 1, 1, 1, dict.fromkeys(directions.KINDS, 5 * axis))
        for name, axis in zip(("density", "style:jazz"), np.eye(4))
    }
    path = tmp_path / "mine.json"
    directions.write(path, directions.Directions(made_for, {}, attributes))
    return path


def test_a_piece_is_edited_by_the_amounts(model, beat, directions_file, monkeypatch):
    decoded = []
    decode = trained_model.decode

    def decoding(loaded, z, *args):
        decoded.append(z[0])
        return decode(loaded, z, *args)

    monkeypatch.setattr(trained_model, "decode", decoding)
    given = {"attributes_file": directions_file}
    same = reelgroove.edit(model, beat, {"density": 0}, **given)
    more = model.edit(beat, {"density": 1, "style:jazz": -2}, "means", qpm=60, **given)
    np.testing.assert_allclose(decoded[1] - decoded[0], [5, -10, 0, 0], atol=1e-5)
    assert notes(same) == notes(model.reconstruct(beat, GREEDY)) and more.total_time == 16.0


def test_an_edit_without_directions_of_this_model(model, beat, directions_file, tmp_path):
    given = {"attributes_file": directions_file}
    with pytest.raises(reelgroove.Error, match="mine.json: no attribute 'jazz' in it; it has dens"):
        model.edit(beat, {"jazz": 1}, **given)
    with pytest.raises(reelgroove.Error, match="direction='up': must be one of means, probe, proj"):
        model.edit(beat, {"density": 1}, "up", **given)
    with pytest.raises(reelgroove.Error, match="attributes.json does not exist; ./run.sh attribut"):
        model.edit(beat, {"density": 1})
    found = directions.read(directions_file)
    found.made_for["weights_sha256"] = "x"
    directions.write(directions_file, found)
    with pytest.raises(reelgroove.Error, match="mine.json: made for another checkpoint"):
        model.edit(beat, {"density": 1}, **given)


def test_the_average_and_the_grid_of_equal_pieces(model, beat):
    other = drums([(0.25 * i, 42, 120) for i in range(32)])
    alone, changed = (notes(model.reconstruct(each, GREEDY)) for each in (beat, other))
    assert notes(reelgroove.average(model, [beat, beat, beat], GREEDY)) == alone
    rows = reelgroove.grid(model, [beat, other, beat, other], 2, GREEDY)
    assert [list(map(notes, row)) for row in rows] == [[alone, changed]] * 2
    assert all(piece.total_time == 8.0 for row in rows for piece in row)


def test_loading_prints_no_warnings(tiny_run):
    code = (
        "import sys, warnings, reelgroove\n"
        "reelgroove.load(sys.argv[1], batch_size=2)\n"
        "kept = [f for f in warnings.filters if f[1] and 'deprecated' in f[1].pattern]\n"
        "print(len(kept))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONWARNINGS", None)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_run)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) and "Warning" not in done.stderr, done.stderr


def test_errors_are_exceptions(model, tmp_path, beat):
    with pytest.raises(reelgroove.Error, match="no drum notes"):
        model.reconstruct(melody([60, 62]))
    with pytest.raises(reelgroove.Error, match="a piece is a NoteSequence or a path, not int"):
        model.interpolate(beat, 3)
    with pytest.raises(reelgroove.Error, match="no such run folder"):
        reelgroove.load(tmp_path / "absent")
    with pytest.raises(reelgroove.Error, match="is a URL; download it"):
        reelgroove.load(checkpoint_file="https://host/x.tar", config="groovae_4bar")


def test_the_stock_configs_of_magenta_with_controls_are_refused(tiny_run, monkeypatch):
    from pipelines.systems.musicvae import generation, run

    found = run.open_run(str(tiny_run))
    monkeypatch.setattr(found.config.data_converter, "_control_depth", 3)
    with pytest.raises(reelgroove.Error, match="conditioned on controls"):
        generation.require_unconditioned(found)
