"""A model in this process: the same calls give the same notes, and the graph is built once."""

import os
import pathlib
import subprocess
import sys

import pytest

import reelgroove
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
    assert {"sample", "reconstruct", "interpolate", "name", "step"} <= set(dir(model))


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
