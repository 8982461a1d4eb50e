"""The aggregated posterior: drawn by hand, fitted to what it was drawn from, kept in a file."""

import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import model, prior, prior_fitting
from pipelines.systems.musicvae.prior import Aggregated, Standard
from pipelines.systems.musicvae.prior_fitting import Posteriors
from tests.support.jobs import error_of, job

MADE_FOR = {"config": "c", "checkpoint": "model.ckpt-3", "step": 3, "weights_sha256": "ab"}


def two_heaps(**changed) -> Aggregated:
    """A quarter of the vectors is around (1, 12, 3, 3), the rest around (1, -8, 3, 3)."""
    given = {
        "made_for": MADE_FOR,
        "made_of": {"examples_path": "train*", "windows": 9, "gain": 1.5},
        "mean": np.array([1.0, 2.0, 3.0, 3.0]),
        "basis": np.array([[0.0], [1.0], [0.0], [0.0]]),
        "weights": np.array([0.25, 0.75]),
        "means": np.array([[10.0], [-10.0]]),
        "scales": np.array([[[0.1]], [[3.0]]]),
    }
    return Aggregated(**{**given, **changed})


def test_draws_have_the_moments_of_the_mixture():
    z = two_heaps().draw(40_000, np.random.default_rng(0))
    high = z[:, 1] > 7
    assert high.mean() == pytest.approx(0.25, abs=0.01)
    for heap, center, deviation in ((high, 12, 0.1), (~high, -8, 3)):
        np.testing.assert_allclose(z[heap].mean(axis=0), [1, center, 3, 3], atol=0.06)
        np.testing.assert_allclose(
            np.cov(z[heap].T), np.diag([1, deviation**2, 1, 1]), atol=0.05 * deviation**2 + 0.05
        )


@pytest.mark.parametrize("drawn_from", [two_heaps(), Standard(4)])
def test_vectors_do_not_depend_on_how_many_are_drawn_at_once(drawn_from):
    rng = np.random.default_rng(1)
    parts = np.concatenate([drawn_from.draw(n, rng) for n in (1, 5, 2)])
    np.testing.assert_array_equal(parts, drawn_from.draw(8, np.random.default_rng(1)))


def posteriors(z: np.ndarray, deviation=0.1) -> Posteriors:
    """Posteriors around latent vectors; ten windows a piece."""
    return Posteriors(z, np.full(z.shape, deviation), np.arange(len(z)) // 10)


def test_a_fit_finds_what_the_vectors_were_drawn_from():
    z = two_heaps().draw(4000, np.random.default_rng(0))
    # In the last direction nothing was encoded.
    z[:, 3] = 0.02 * z[:, 3]
    found = prior_fitting.mix(posteriors(z), 2, seed=0)
    assert found.basis.shape == (4, 3)
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(3), atol=1e-9)
    again = found.draw(4000, np.random.default_rng(5))
    np.testing.assert_allclose(again.mean(axis=0)[:3], z.mean(axis=0)[:3], atol=0.4)
    np.testing.assert_allclose(np.cov(again[:, :3].T), np.cov(z[:, :3].T), rtol=0.08, atol=0.4)
    assert np.std(again[:, 3]) == pytest.approx(1, abs=0.05)
    middle = (again[:, 1] > 5) & (again[:, 1] < 11)
    assert middle.mean() < 0.01  # One normal would have a sixth of its vectors there.
    # Under a standard normal such vectors are all but impossible.
    assert found.made_of["gain"] > 20


def test_the_gain_of_standard_normal_vectors_is_nothing():
    z = np.random.default_rng(0).standard_normal((5000, 3))
    assert abs(prior_fitting.mix(posteriors(z, 0.0), 1, seed=0).made_of["gain"]) < 0.05


def test_few_windows_get_few_components(capsys):
    z = np.random.default_rng(0).standard_normal((90, 3))
    found = prior_fitting.mix(posteriors(z), 32, seed=0)
    assert len(found.weights) == 3
    assert "90 windows are enough for 3 components, not 32" in capsys.readouterr().err
    # Two windows of one piece: there is none to leave out.
    assert prior_fitting.mix(posteriors(z[:2]), 32, seed=0).made_of["gain"] is None


def test_the_same_seed_gives_the_same_file(tmp_path):
    z = np.random.default_rng(0).standard_normal((300, 3))
    paths = [tmp_path / name for name in ("first", "second")]
    for path in paths:
        prior.write(path, prior_fitting.mix(posteriors(z), 3, 0, MADE_FOR, {"windows": 300}))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_file_comes_back(tmp_path):
    path, written = tmp_path / prior.FILE, two_heaps()
    prior.write(path, written)
    found = prior.read(path, 4)
    assert (found.made_for, found.made_of) == (written.made_for, written.made_of)
    np.testing.assert_allclose(
        found.draw(50, np.random.default_rng(2)),
        written.draw(50, np.random.default_rng(2)),
        rtol=1e-5,
        atol=1e-5,
    )


def damaged(path, **changed):
    """The file with other tensors."""
    content = path.read_bytes()
    facts = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    tensors = {**safetensors.numpy.load(content), **changed}
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    path.write_bytes(safetensors.numpy.save(tensors, facts))


@pytest.mark.parametrize(
    "changed",
    [
        {"mean": np.zeros(5, np.float32)},
        {"basis": np.zeros((4, 2), np.float32)},
        {"basis": np.zeros((), np.float32)},
        {"weights": np.array([0.5, 0.6], np.float32)},
        {"weights": np.array([-0.5, 1.5], np.float32)},
        {"weights": np.zeros((0,), np.float32)},
        {"means": np.array([[np.nan], [0]], np.float32)},
        {"scales": np.zeros((2, 1), np.float32)},
        {"scales": None},
        {"more": np.zeros(1, np.float32)},
    ],
)
def test_files_that_nothing_can_be_drawn_from(tmp_path, changed):
    path = tmp_path / prior.FILE
    prior.write(path, two_heaps())
    damaged(path, **changed)
    with pytest.raises(UserError, match="no prior, or a damaged one .*make it again"):
        prior.read(path, 4)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 20,
        b"{}",
        safetensors.numpy.save({"mean": np.zeros(4, np.float32)}),
        safetensors.numpy.save({"mean": np.zeros(4, np.float32)}, {"reelgroove": "[" * 9999}),
        safetensors.numpy.save({"mean": np.zeros(4, np.float32)}, {"reelgroove": "3"}),
    ],
)
def test_files_of_another_kind(tmp_path, content):
    path = tmp_path / prior.FILE
    path.write_bytes(content)
    with pytest.raises(UserError, match="no prior, or a damaged one"):
        prior.read(path, 4)


def test_a_file_for_latent_vectors_of_another_size(tmp_path):
    prior.write(tmp_path / prior.FILE, two_heaps())
    with pytest.raises(UserError, match="for a z_size of 6"):
        prior.read(tmp_path / prior.FILE, 6)


def test_a_file_of_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(prior, "_FORMAT", 2)
    prior.write(tmp_path / prior.FILE, two_heaps())
    monkeypatch.undo()
    with pytest.raises(UserError, match="written by another version"):
        prior.read(tmp_path / prior.FILE, 4)


# The jobs


@pytest.fixture(scope="module")
def fitted(tiny_run, groove_records, tmp_path_factory):
    """A copy of a run, for which the job has fitted a prior."""
    run_dir = tmp_path_factory.mktemp("fitted") / "run"
    shutil.copytree(tiny_run, run_dir)
    done = job(
        "prior",
        f"--run_dir={run_dir}",
        f"--examples_path={groove_records}/train.tfrecord*",
        "--components=2",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    return run_dir, json.loads(done.stdout)


@pytest.mark.slow
def test_the_job(fitted):
    run_dir, said = fitted
    assert said["file"] == str(run_dir / "train" / prior.FILE)
    assert said["made_for"]["checkpoint"] == "model.ckpt-3"
    assert said["made_of"]["windows"] > 50 and said["components"] <= 2
    found = prior.read(said["file"], 4)
    assert found.made_of == said["made_of"]
    assert found.draw(3, np.random.default_rng(0)).shape == (3, 4)


@pytest.mark.slow
def test_samples_are_drawn_from_it(fitted, tmp_path, monkeypatch):
    from pipelines.systems.musicvae import generation
    from pipelines.systems.musicvae.run import open_run

    run = open_run(str(fitted[0]))
    decoded = []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda *given: decoded.append(given[1]) or decode(*given))
    expected = {
        None: prior.read(fitted[1]["file"], 4),
        "aggregated": prior.read(fitted[1]["file"], 4),
        "standard": Standard(4),
    }
    for kind, drawn_from in expected.items():
        options = generation.Options(
            num_outputs=3, prior=kind, seed=7, pianoroll=False, overwrite=True
        )
        generation.generate(run, "sample", str(tmp_path / str(kind)), options=options)
        np.testing.assert_array_equal(
            decoded.pop(), drawn_from.draw(3, np.random.default_rng(7)), strict=True
        )


@pytest.mark.slow
def test_a_prior_of_other_weights(fitted, tiny_run, tmp_path, capsys):
    from pipelines.systems.musicvae.run import open_run

    run_dir = tmp_path / "run"
    shutil.copytree(tiny_run, run_dir)
    path = run_dir / prior.FILE
    found = prior.read(fitted[1]["file"], 4)
    prior.write(path, Aggregated(**{**vars(found), "made_for": {"config": "other"}}))
    run = open_run(str(run_dir))
    loaded = model.load(run, 1, 0)
    with pytest.raises(UserError, match="made for another checkpoint"):
        model.prior_of(run, loaded, "aggregated")
    assert model.prior_of(run, loaded, None) == Standard(4)
    said = capsys.readouterr().err
    assert "warning: " in said and f"{path}: made for another checkpoint" in said
    path.unlink()
    with pytest.raises(UserError, match=r"no prior\.safetensors beside it; \./run\.sh prior"):
        model.prior_of(run, loaded, "aggregated")


@pytest.mark.slow
def test_one_line_for_what_does_not_go_together(tiny_run, groove_records, tmp_path):
    out, run = f"--output_dir={tmp_path}", f"--run_dir={tiny_run}"
    piece = "--input=x.mid"
    for arguments, expected in (
        (["generate", run, out, "--mode=reconstruct", piece, "--prior=standard"], "--prior does"),
        (["generate", run, out, "--prior=aggregated"], "no prior.safetensors beside it"),
        (
            ["evaluate", run, f"--examples_path={groove_records}/train*", "--prior=standard"],
            "--prior goes with --samples",
        ),
    ):
        assert expected in error_of(job(*arguments))
