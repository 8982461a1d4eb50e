"""`./run.sh style`: its commands, their output and their errors."""

import json
import os

import pytest
import soundfile

from tests.support import records
from tests.support.jobs import error_of, job, without_tensorflow
from tests.support.pieces import drums
from tests.support.sounds import tone


def test_commands():
    done = job("style", "--help")
    assert done.returncode == 0 and "style render" in done.stdout
    done = job("style", "rendr")
    assert done.returncode == 2 and "did you mean render?" in done.stderr


def test_sounds():
    done = job("style", "sounds")
    fonts = [line.split("\t") for line in done.stdout.splitlines()]
    assert ["TimGM6mb", "136"] in [line[:2] for line in fonts]
    done = job("style", "sounds", "TimGM6mb")
    assert "128:40\tdrums\tBrush" in done.stdout.splitlines()
    assert "no sound font 'TimGM'" in error_of(job("style", "sounds", "TimGM"))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--sound=TimGM6mb:Brush", "--output=out"], "missing --input"),
        (["--input=none", "--output=out"], "missing --sound"),
        (["--input=none*", "--sound=TimGM6mb:Brsh", "--output=out"], "has no preset 'Brsh'"),
        (["--input=none*", "--sound=TimGM6mb:Brush", "--output=out"], "no file matches 'none*'"),
        (["--input=none", *["--sound=TimGM6mb:Brush"] * 3, "--output=out"], "3 times --sound"),
    ],
)
def test_bad_input_of_render_is_one_line(arguments, message, tmp_path):
    done = without_tensorflow("pipelines.style", "render", *arguments, cwd=tmp_path)
    assert message in error_of(done)
    assert len(done.stderr.splitlines()) == 1 and os.listdir(tmp_path) == []


def test_render(tmp_path):
    pytest.importorskip("tinysoundfont", reason="no tinysoundfont: it has no wheel here")
    piece = drums([(0.0, 36, 100)])
    records.make(tmp_path / "records", {"a": [("test", "a", piece.SerializeToString())]})
    flags = ["--input=records", "--sound=TimGM6mb:Brush", "--output=out"]
    done = without_tensorflow("pipelines.style", "render", *flags, cwd=tmp_path)
    assert json.loads(done.stdout) == json.loads((tmp_path / "out" / "render.json").read_text())
    assert "out: records read: 1, performances rendered: 1, rejected: 0" in done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--representation=mel", "--output=out"], "missing --input"),
        (["--input=.", "--representation=mel", "--output=out"], "no sound file in it"),
        (["--input=none.wav", "--representation=mels", "--output=out"], "must be stft or mel"),
        (["--input=none.wav", "--representation=mel", "--output=out"], "none.wav: no such file"),
        (
            ["--input=.", "--representation=mel", "--output=out", "--start=nan"],
            "must be a finite number",
        ),
    ],
)
def test_bad_input_of_reconstruct_is_one_line(arguments, message, tmp_path):
    done = without_tensorflow("pipelines.style", "reconstruct", *arguments, cwd=tmp_path)
    assert message in error_of(done)
    assert len(done.stderr.splitlines()) == 1 and os.listdir(tmp_path) == []


@pytest.mark.slow
def test_reconstruct(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(440), 16_000)
    flags = ["--input=a.wav", "--representation=mel", "--output=out"]
    done = without_tensorflow("pipelines.style", "reconstruct", *flags, cwd=tmp_path)
    path, seconds, convergence, _ = done.stdout.rstrip().split("\t")
    assert (path, seconds) == ("out/a.wav", "1.00") and float(convergence) < -15
    assert sorted(os.listdir(tmp_path / "out")) == ["a.wav", "reconstruct.json"]


def put_sounds(root):
    """Pairs in which a tone becomes a softer one, of other pitches in training and test."""
    for split, start in {"train": 300, "test": 500}.items():
        for role, level in {"source": 1.0, "target": 0.1}.items():
            for index in range(2):
                name = f"{role if split == 'train' else ''}{index}.wav"
                path = root / "pairs" / role / split / name
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, level * tone(start + 90 * index, seconds=0.5), 16_000)


_FOLDERS = ["--source=pairs/source", "--target=pairs/target"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--method=eq", *_FOLDERS, "--output=out"], "missing --input"),
        (
            ["--method=eql", *_FOLDERS, "--input=a.wav", "--output=out"],
            "must be eq or knn or onsets or quantile",
        ),
        (["--method=eq", *_FOLDERS, "--input=a.wav", "--output=out"], "a.wav: no such file"),
        (
            ["--method=eq", "--source=pairs", "--target=pairs", "--input=pairs", "--output=out"],
            "pairs has pairs; name pairs/source or pairs/target",
        ),
        (
            ["--method=eq", *[_FOLDERS[0]] * 2, "--input=a.wav", "--output=out"],
            "--method=eq learns from --source and --target; give both",
        ),
        (["--input=a.wav", "--output=out"], "give --method, or --run_dir of style train"),
        (
            ["--run_dir=run", *_FOLDERS, "--input=pairs", "--output=out"],
            "leave out --source and --target",
        ),
        (["--run_dir=run", "--input=pairs", "--output=out"], "run: no such run folder"),
    ],
)
def test_bad_input_of_convert_is_one_line(arguments, message, tmp_path):
    put_sounds(tmp_path)
    done = without_tensorflow("pipelines.style", "convert", *arguments, cwd=tmp_path)
    assert message in error_of(done)
    assert os.listdir(tmp_path) == ["pairs"]


@pytest.mark.slow
def test_convert(tmp_path):
    put_sounds(tmp_path)
    flags = ["--method=eq", *_FOLDERS, "--input=pairs/source/test", "--output=out"]
    done = without_tensorflow("pipelines.style", "convert", *flags, cwd=tmp_path)
    assert done.stdout == "out/0.wav\t0.50\t0\nout/1.wav\t0.50\t0\n", done.stderr
    summary = json.loads((tmp_path / "out" / "convert.json").read_text())
    assert (summary["method"], summary["converted"], summary["rejected"]) == ("eq", 2, 0)


@pytest.mark.slow
def test_evaluate(tmp_path):
    put_sounds(tmp_path)
    flags = ["--pairs=pairs", "--method=eq", "--output=found.json", "--seconds=0.5"]
    done = without_tensorflow("pipelines.style", "evaluate", *flags, cwd=tmp_path)
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert list(rows) == ["input", "eq", "target through mels", "target", "another target"]
    # Without render.json they are melodies.
    assert "note_f1" in rows["eq"]
    assert [line.split(" | ")[0] for line in done.stdout.splitlines()[2:]] == [
        f"| {name}" for name in rows
    ]


def test_bad_input_of_evaluate_is_one_line(tmp_path):
    done = without_tensorflow("pipelines.style", "evaluate", cwd=tmp_path)
    assert "missing --pairs" in error_of(done)
    done = without_tensorflow("pipelines.style", "evaluate", "--pairs=none", cwd=tmp_path)
    assert "none: no folders source/test and target/test in it" in error_of(done)


def put_paired_training(root):
    """Pairs of which training has each performance with both sounds."""
    put_sounds(root)
    for path in (root / "pairs").glob("*/train/*"):
        path.rename(path.with_name(path.name[-len("0.wav") :]))
    (root / "pairs" / "manifest.jsonl").touch()


@pytest.mark.parametrize("flags", [[], ["--method=eq"], ["--method=eq", "--run_dir=run"]])
def test_methods_are_not_measured_where_they_would_meet_the_truth(flags, tmp_path):
    put_paired_training(tmp_path)
    done = without_tensorflow("pipelines.style", "evaluate", "--pairs=pairs", *flags, cwd=tmp_path)
    assert "pairs: 2 performances to learn from have both sounds" in error_of(done)
    assert "give --run_dir without --method" in done.stderr


@pytest.mark.slow
def test_what_learnt_from_pairs_is_measured_alone(tmp_path):
    put_paired_training(tmp_path)
    folders = [f"--{role}={tmp_path}/pairs/{role}" for role in ("source", "target")]
    small = "--hparams=width=8,piece=8,batch_size=2"
    flags = ["--model=paired", *folders, small, "--num_steps=2", f"--run_dir={tmp_path}/run"]
    done = job("style", "train", *flags)
    assert done.returncode == 0, done.stderr
    flags = [f"--pairs={tmp_path}/pairs", f"--run_dir={tmp_path}/run", "--seconds=0.5", "--json"]
    done = job("style", "evaluate", *flags)
    rows = json.loads(done.stdout)["rows"]
    assert list(rows) == ["input", "run", "target through mels", "target", "another target"]
    assert "the truth of what they have to guess, and are not measured" in done.stderr
    # Had it learnt from what is measured, it would be refused.
    path = tmp_path / "run" / "run.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "source": f"{tmp_path}/pairs/source/test"}))
    message = error_of(job("style", "evaluate", *flags))
    assert "run has learnt from 2 of the 4 recordings that it is to be measured on" in message


_TRAIN = ["--source=pairs/source", "--target=pairs/target", "--run_dir=run"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--model=melganvc", "--target=t", "--run_dir=r"], "missing --source"),
        (["--model=melgan", *_TRAIN], "must be melganvc or melganvc-published or"),
        (["--model=paired", "--hparams=widht=3", *_TRAIN], "did you mean width?"),
        (["--model=paired", "--hparams=method=cyclegan", *_TRAIN], "take another --model"),
        (["--model=paired", "--hparams=piece=6", *_TRAIN], "piece must be a multiple of 4"),
        (["--model=paired", "--hparams=residual=2", *_TRAIN], "residual must be 0 or 1"),
        (["--model=paired", "--hparams=start=nn", *_TRAIN], "start must be one of eq, knn, onsets"),
        (["--model=paired", "--hparams=teacher=eq", *_TRAIN], "pseudopaired models alone have"),
        (["--model=pseudopaired", "--hparams=teacher=none", *_TRAIN], "and need one"),
        (["--model=cyclegan", "--hparams=critic_steps=2", *_TRAIN], "critic_steps is of MelGAN-VC"),
        (["--model=paired", "--hparams=average=1", *_TRAIN], "average must be from 0 to below 1"),
        (["--model=paired", "--num_steps=0", *_TRAIN], "num_steps"),
        (["--model=paired", "--hparams=width=0", *_TRAIN], "width must be from 1 to"),
        (["--model=paired", "--hparams=batch_size=0", *_TRAIN], "batch_size must be from 1 to"),
        (["--model=melganvc", "--hparams=travel=-1", *_TRAIN], "travel must not be negative"),
        (["--model=wavenet-gan", "--target=t", "--run_dir=r"], "missing --source"),
        (["--model=wavenet-gan", "--hparams=layers=21", *_TRAIN], "layers must be at most 20"),
        (["--model=wavenet-gan", "--hparams=group=0", *_TRAIN], "group must be from 1 to"),
        (["--model=wavenet-gan", "--hparams=group=7", *_TRAIN], "must be a multiple of group"),
        (["--model=wavenet-gan", "--hparams=piece=6", *_TRAIN], "piece must be a multiple of 4"),
        (["--model=wavenet-gan", "--hparams=identity=-1", *_TRAIN], "must not be negative"),
        (["--model=wavenet-gan", "--hparams=average=1", *_TRAIN], "average must be from 0 to"),
        (["--model=wavenet-gan", "--hparams=floor_db=3", *_TRAIN], "floor_db must be from -100"),
        (["--model=wavenet-gan", "--hparams=minutes=0", *_TRAIN], "minutes must be over 0"),
        (["--model=cyclegan", "--hparams=cycle=nan", *_TRAIN], "cycle must be finite"),
        (["--model=paired", "--hparams=minutes=0", *_TRAIN], "minutes must be over 0"),
        (["--model=paired", "--hparams=beta=1", *_TRAIN], "beta must be from 0 to below 1"),
    ],
)
def test_bad_input_of_train_is_one_line(arguments, message, tmp_path):
    done = without_tensorflow("pipelines.style", "train", *arguments, cwd=tmp_path)
    assert message in error_of(done)
    assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_a_model_of_samples_is_trained_used_and_measured(tmp_path):
    put_sounds(tmp_path)
    small = "layers=2,stacks=1,channels=4,skip_channels=4,critic_width=4,vector=4,piece=8"
    training = ["train", "--model=wavenet-gan", *_TRAIN, f"--hparams={small},batch_size=2"]
    done = job("style", *training, "--num_steps=3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "style convert --run_dir=run" in done.stderr
    flags = ["--run_dir=run", "--input=pairs/source/test", "--output=out"]
    done = job("style", "convert", *flags, cwd=tmp_path)
    assert done.stdout == "out/0.wav\t0.50\t0\nout/1.wav\t0.50\t0\n", done.stderr
    flags = ["--pairs=pairs", "--method=eq", "--run_dir=run", "--seconds=0.5", "--json"]
    done = job("style", "evaluate", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["rows"])[:3] == ["input", "eq", "run"]


@pytest.mark.slow
def test_a_vocoder_is_trained_and_used(tmp_path):
    (tmp_path / "tones").mkdir()
    soundfile.write(tmp_path / "tones" / "a.wav", tone(440), 16_000)
    small = "--hparams=layers=3,stacks=1,channels=4,skip_channels=4,frames=4,batch_size=2"
    run_dir = f"--run_dir={tmp_path}/run"
    training = ["train", "--model=wavenet", f"--target={tmp_path}/tones", run_dir, small]
    done = job("style", *training, "--num_steps=3")
    assert done.returncode == 0, done.stderr
    assert f"--vocoder={tmp_path}/run" in done.stderr
    sound = [f"--input={tmp_path}/tones/a.wav", f"--output={tmp_path}/out"]
    vocoder = ["--representation=mel", f"--vocoder={tmp_path}/run"]
    done = job("style", "reconstruct", *sound, *vocoder)
    assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "out" / "a.wav").frames == 16_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--model=wavenet", "--source=a"], "learns from --target alone"),
        (["train", "--model=wavenet", "--hparams=layers=30"], "layers must be at most 20"),
        (["train", "--model=wavenet", "--hparams=frames=0"], "frames must be from 1 to"),
        (
            ["train", "--model=wavenet", "--hparams=learning_rate=-1"],
            "learning_rate must not be negative",
        ),
        (["train", "--model=paired"], "missing --source"),
        (["reconstruct", "--representation=cqt", "--vocoder=r"], "goes with --representation=mel"),
    ],
)
def test_bad_flags_of_a_vocoder(arguments, message, tmp_path):
    verb, *flags = arguments
    more = ["--target=t", "--run_dir=r"] if verb == "train" else ["--input=x", "--output=o"]
    assert message in error_of(job("style", verb, *flags, *more, cwd=tmp_path))
