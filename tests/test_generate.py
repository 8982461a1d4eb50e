"""New music: its determinism, its joins, its tempo, and what cannot be played."""

import os
import pathlib
import subprocess
import sys

import note_seq
import numpy as np
import pytest

from pipelines import generation, music, runs, trained_model
from pipelines.app import UserError
from tests.trained import drums

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tiny_run):
    return runs.open_run(str(tiny_run))


def midi_file(path, bars, qpm=120.0, **kwargs):
    """One kick and one snare a bar."""
    quarter = 60 / qpm
    hits = [
        (4 * quarter * bar + late * quarter, pitch, 90)
        for bar in range(bars)
        for late, pitch in ((0, 36), (1, 38))
    ]
    music.write(drums(hits, qpm=qpm, **kwargs), str(path), draw=False)
    return str(path)


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())}


def test_same_seed_same_bytes_pictures_too(run, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        paths = generation.generate(
            run,
            "sample",
            str(tmp_path / name),
            num_outputs=3,
            max_batch_size=2,
            seed=seed,
            temperature=1.0,
        )
        assert [pathlib.Path(path).suffix for path in paths] == [".mid"] * 3
    a, b, c = (files(tmp_path / name) for name in "abc")
    assert len(a) == 6 and {name[-4:] for name in a} == {".mid", ".png"}
    assert a == b
    assert set(a) == set(c) and a != c


def test_a_temperature_near_zero_takes_the_likeliest_whatever_the_seed(run, tmp_path):
    model = trained_model.load(run, 2, seed=1)
    other = trained_model.load(run, 2, seed=2)
    z = np.random.default_rng(0).standard_normal((2, 4))
    first, second = (
        trained_model.decode(m, z, 64, trained_model.THRESHOLD_TEMPERATURE) for m in (model, other)
    )
    assert first.shape == (2, 64, 27)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("qpm, expected", [(None, 90.0), (150.0, 150.0)])
def test_tempo_is_the_inputs_or_the_flags(run, tmp_path, qpm, expected):
    [path] = generation.generate(
        run,
        "reconstruct",
        str(tmp_path / "out"),
        qpm=qpm,
        pianoroll=False,
        inputs=(midi_file(tmp_path / "in.mid", 6, 90.0),),
    )
    sequence = note_seq.midi_file_to_note_sequence(path)
    assert sequence.tempos[0].qpm == pytest.approx(expected, abs=1e-3)
    assert not list((tmp_path / "out").glob("*.png"))


def test_reconstruct_joins_the_windows_in_their_places(run, tmp_path, monkeypatch):
    """With a decoder that returns what was encoded, the piece comes back, tail and all."""
    path = midi_file(tmp_path / "in.mid", 10, 100.0)
    windows = music.read_windows(run.config, run.name, path)
    assert len(windows.inputs) == 3  # 10 bars: 4, 4 and 2 padded to 4.
    real = trained_model.load

    def perfect(*args):
        model = real(*args)
        model.decode = lambda z, length, temperature: run.config.data_converter.from_tensors(
            windows.inputs
        )
        return model

    monkeypatch.setattr(trained_model, "load", perfect)
    [out] = generation.generate(
        run, "reconstruct", str(tmp_path / "out"), inputs=(path,), pianoroll=False
    )
    before, after = (note_seq.midi_file_to_note_sequence(p) for p in (path, out))
    starts = lambda s: sorted((n.start_time, n.pitch, n.velocity) for n in s.notes)  # noqa: E731
    assert len(after.notes) == 20
    for (a, pitch, velocity), (b, *same) in zip(starts(before), starts(after)):
        assert [pitch, velocity] == same
        assert a == pytest.approx(b, abs=0.003)  # A tick is 2.7 ms here.


def test_interpolation_takes_the_first_windows_and_says_so(run, tmp_path, capsys):
    first = midi_file(tmp_path / "a.mid", 9)
    second = midi_file(tmp_path / "b.mid", 4)
    paths = generation.generate(
        run,
        "interpolate",
        str(tmp_path / "out"),
        inputs=(first, second),
        num_outputs=4,
        pianoroll=False,
    )
    assert len(paths) == 4
    said = capsys.readouterr().err
    assert "a.mid: 3 windows; the first is taken" in said and "b.mid:" not in said


def test_identical_ends_give_music(run, tmp_path):
    path = midi_file(tmp_path / "a.mid", 4)
    paths = generation.generate(
        run,
        "interpolate",
        str(tmp_path / "out"),
        inputs=(path, path),
        num_outputs=3,
        temperature=trained_model.THRESHOLD_TEMPERATURE,
        pianoroll=False,
    )
    assert len({pathlib.Path(path).read_bytes() for path in paths}) == 1


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda p: midi_file(p, 4, meter=(3, 4)),
            r"in 3/4; needs 4 quarter notes.*8 notes \(8 drums\)",
        ),
        (lambda p: midi_file(p, 4, is_drum=False), r"no drum notes.*\(0 drums\)"),
        (lambda p: p.write_bytes(b"RIFF" * 10), "in.mid"),
        (lambda p: p.write_bytes(b""), "in.mid"),
    ],
)
def test_input_without_examples_is_explained(run, tmp_path, make, message):
    path = tmp_path / "in.mid"
    make(path)
    with pytest.raises(UserError, match=message):
        generation.generate(run, "reconstruct", str(tmp_path / "out"), inputs=(str(path),))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["--mode=sample", "--num_outputs=1", "--seed=3"], 0, ""),
        (["--mode=sample", "--input_midi=x.mid"], 1, "--input_midi does not go with --mode=sample"),
        (["--mode=reconstruct"], 1, "--mode=reconstruct needs --input_midi=FILE.mid"),
        (["--mode=interpolate", "--input_midi_1=x.mid"], 1, "needs --input_midi_2"),
        (["--mode=reconstruct", "--input_midi=absent.mid"], 1, "absent.mid"),
    ],
)
def test_the_job(tiny_run, tmp_path, arguments, code, message):
    root = pathlib.Path(runs.__file__).parents[1]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipelines.generate",
            f"--run_dir={tiny_run}",
            f"--output_dir={tmp_path}/out",
            *arguments,
        ],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    if code:
        assert done.stderr.splitlines()[-1].startswith("error: ") and message in done.stderr
        assert not done.stdout and "Traceback" not in done.stderr
    else:
        [path] = done.stdout.split()
        assert note_seq.midi_file_to_note_sequence(path).tempos[0].qpm == 120.0
