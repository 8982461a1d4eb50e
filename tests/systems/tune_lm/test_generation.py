import collections
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
from keras import ops

from pipelines.judge import reading, verdicts
from pipelines.media import description
from pipelines.music.abc import tunebook
from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import written
from pipelines.representations.abc_tokens.vocabulary import END, FIRST_NOTE, KINDS, LINES, PITCHES
from pipelines.runtime.app import UserError
from pipelines.systems.tune_lm import conditions, decoding, generation, tasks
from pipelines.systems.tune_lm.decoding import Sampling
from tests.support.jobs import error_of, job, without_tensorflow
from tests.support.tune_models import untrained

pytestmark = pytest.mark.keras3

JIG = conditions.make((6, 8), bars=2, of_rhythm="jig", letters="AA'BB")


class Likes:
    """A model that gives the same probabilities to the next token, whatever was before."""

    def __init__(self, weights):
        self._kinds = np.zeros(KINDS, np.float32)
        for kind, weight in weights.items():
            self._kinds[kind] = weight

    def initial_state(self, batch, longest):
        return [ops.zeros((batch,))]

    def step(self, rows, state):
        return ops.cast(rows, "float32"), state

    def kind_logits(self, hidden):
        return ops.broadcast_to(self._kinds, (ops.shape(hidden)[0], KINDS))

    def pitch_logits(self, hidden, kinds):
        return ops.zeros((ops.shape(hidden)[0], PITCHES))


def generate(folder, network=None, task=None, given=(), **options):
    options = {"num_outputs": 3, "sampling": Sampling(seed=5), "pianoroll": False, **options}
    return generation.generate(
        network or Likes({}), task or tasks.new(JIG), "sample", str(folder), "model",
        {"seed": 5}, generation.Options(**options), given,
    )  # fmt: skip


def test_tunes_are_written_in_every_form(tmp_path):
    made = generate(tmp_path, describe=True, title="Jig", tunebook=str(tmp_path / "book" / "a.abc"))
    assert made.left_out == {}
    assert [path.rpartition("/")[2] for path in made.paths] == [
        f"model_sample_seed5_00{number}-of-003.mid" for number in range(3)
    ]
    books = []
    for number, path in enumerate(made.paths, start=1):
        text = (tmp_path / path.replace(".mid", ".abc")).read_text()
        books.append(text)
        assert f"X:{number}\nT:Jig {number} (seed 5)\nR:jig\nM:6/8\n" in text
        (found,) = tunebook.tunes(text)
        assert len(written.from_score(notate(found)).bars) == 5
    assert (tmp_path / "book" / "a.abc").read_text() == "\n".join(books)
    known = description.read(tmp_path)
    assert [each.position for each in known.values()] == [(0,), (1,), (2,)]
    # The same again gives the same bytes; other tunes are not replaced.
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    generate(tmp_path, describe=True, title="Jig", tunebook=str(tmp_path / "book" / "a.abc"))
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before
    with pytest.raises(UserError, match=r"_000-of-003.* exists and holds other music"):
        generate(tmp_path, title="Reel")


def test_a_tunebook_in_the_way_is_told_before_anything_is_written(tmp_path):
    book = tmp_path / "mine.abc"
    book.write_text("X:1\nT:Mine\nK:D\nd4|\n")
    with pytest.raises(UserError, match=r"mine\.abc exists; give another --tunebook, or --overwr"):
        generate(tmp_path / "music", tunebook=str(book))
    assert not (tmp_path / "music").exists() and "T:Mine" in book.read_text()


def test_a_title_may_have_braces(tmp_path):
    made = generate(tmp_path, title="The {Foggy} {0.real} {", num_outputs=1)
    text = pathlib.Path(made.paths[0]).with_suffix(".abc").read_text(encoding="utf-8")
    assert "T:The {Foggy} {0.real} { 1 (seed 5)\n" in text


def test_a_form_that_is_too_long_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LONGEST", 8)
    with pytest.raises(UserError, match="the model wrote no tune; ask for fewer bars"):
        generate(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_no_tune_is_counted(tmp_path):
    """Without a grammar: mostly notes, some bar lines in a row, and few ends."""
    notes = dict.fromkeys(range(FIRST_NOTE, KINDS, 2), 4.0)
    network = Likes({**notes, LINES[False, False, False]: 5.5, END: 6.0})
    task = tasks.new(JIG, in_form=False)
    drawn = generation.draw(network, [task] * 60, Sampling(seed=1))
    there = sum(tune is not None for tune in drawn.tunes)
    assert 0 < there < 60
    assert there + sum(drawn.left_out.values()) == 60
    assert set(drawn.left_out) <= {
        "a sign where none can stand",
        "no notes",
        "no end after 1024 tokens",
    }
    made = generate(tmp_path, network, task, num_outputs=60, sampling=Sampling(seed=1))
    assert len(made.paths) == there
    assert made.left_out == drawn.left_out
    silent = Likes({END: 100.0})
    with pytest.raises(UserError, match="the model wrote no tune"):
        generate(tmp_path / "none", silent, task)


def test_a_version_is_written_without_the_strain_before_it():
    (text,) = tunebook.tunes("X:1\nM:6/8\nL:1/8\nK:D\n|:d2f a2f|g2e d3:|\n")
    prompt = written.from_score(notate(text))
    task = tasks.version(prompt, "1", "x.abc")
    for tune in generation.draw(Likes({}), [task] * 3, Sampling(seed=2)).tunes:
        assert len(tune.bars) == 2
        assert tune.bars[0] == prompt.bars[0]
        assert tune.bars[1].notes != prompt.bars[1].notes
        assert tune.bars[1].closes


def test_bars_that_no_lengths_make_full():
    with pytest.raises(UserError, match="no notes of these lengths .*give another form"):
        generation.draw(Likes({}), [tasks.new(conditions.make(bars=2, of_pickup=315))], Sampling())


def refused(tmp_path, *arguments):
    module = "pipelines.systems.tune_lm.commands.generate"
    done = without_tensorflow(
        module, "--run_dir=run", "--output_dir=out", "--audio=none", *arguments, cwd=tmp_path
    )
    return error_of(done)


BAD = [
    (["--tonic=H"], "--tonic=H: no note"),
    (["--mode=dorean"], "--mode=dorean: it is one of sample, continue, vary, or a mode of music"),
    (["--mode=dorian", "--key_mode=major"], "give one of them"),
    (["--form=AxB"], "--form: 'AxB' is no form"),
    (["--bars=8,x"], "--bars=8,x: give numbers"),
    (["--mode=continue"], "--mode=continue needs --input=FILE once"),
    (["--input=a.abc"], "--input does not go with --mode=sample"),
    (["--mode=continue", "--input=a.abc", "--meter=6/8"], "--meter does not go with"),
    (["--mode=continue", "--input=a.abc", "--keep=1"], "--keep=1 goes with --mode=vary"),
    (["--mode=vary", "--input=a.abc", "--nogrammar"], "--nogrammar does not go with --mode=vary"),
    (["--mode=continue", "--input=a.abc", "--form=A", "--bars=1"], "fills the form A already"),
    (["--mode=continue", "--input=none.abc"], "none.abc"),
    (["--tunebook=a.abc"], "a.abc exists; give another --tunebook, or --overwrite"),
    (["--run_dir=other"], "other is a run of titles"),
    (["--run_dir=none"], "none has no run.json: no run of tune_lm is there"),
    (["--pretrained=none"], "give one of them"),
    (["--run_dir=", "--checkpoint_file=run/train"], "--checkpoint_file=run/train needs --run_dir"),
    (["--config=tune_lm-transformer"], "run/run.json is of tune_lm-lstm, not of --config=tune_lm-"),
    (["--run_dir=outside"], "outside/run.json is damaged: config is '../tune'; restore it"),
]


@pytest.mark.slow
def test_bad_input_ends_in_one_line(tmp_path):
    run = tmp_path / "run"
    untrained(run)
    (tmp_path / "a.abc").write_text("X:1\nM:6/8\nL:1/8\nK:D\nd2f a2f|\n")
    shutil.copytree(run, tmp_path / "outside")
    metadata = json.loads((run / "run.json").read_text())
    (tmp_path / "outside" / "run.json").write_text(json.dumps({**metadata, "config": "../tune"}))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text('{"kind": "titles"}')
    for arguments, message in BAD:
        assert message in refused(tmp_path, *arguments)


@pytest.mark.slow
def test_the_command_takes_a_mode_of_music_as_its_mode(tmp_path):
    run = untrained(tmp_path / "run")
    out = tmp_path / "out"
    arguments = [
        f"--run_dir={run}", f"--output_dir={out}", "--mode=dorian", "--rhythm=jig", "--bars=2",
        "--num_outputs=2", "--seed=3", "--json",
    ]  # fmt: skip
    done = job("generate", *arguments)
    assert done.returncode == 0, done.stderr
    names = collections.Counter(path.suffix for path in out.iterdir())
    assert names == {".mid": 2, ".abc": 2, ".png": 2, ".mp3": 2, ".html": 1, ".json": 1}
    text = next(out.glob("*000-of-002.abc")).read_text()
    assert "M:6/8" in text and "K:Ddor" in text
    settings = next(iter(description.read(out).values())).settings
    assert (settings["key"], settings["meter"], settings["seed"]) == ("D dorian", "6/8", 3)


@pytest.mark.slow
def test_the_model_of_the_project_keeps_what_passes_the_judge(tmp_path):
    flags = ["--pretrained=tunes", "--rhythm=jig", "--seed=3", "--num_outputs=3", "--audio=none"]
    done = job("generate", *flags, "--keep=judge:melody>=2", f"--output_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"3 of \d+ tunes passed the judge \(\d+%\)", done.stderr)
    judge = verdicts.open_judge("")
    for path in tmp_path.glob("*.abc"):
        (read,) = reading.read(str(path))
        found = judge(read.tune)
        assert found.stage == "passed" and found.opinions["melody"].score >= 2


@pytest.mark.slow
def test_the_model_of_the_project_writes_what_is_asked_for(tmp_path):
    flags = ["--pretrained=tunes", "--rhythm=jig", "--tonic=D", "--mode=dorian", "--form=AABB"]
    done = job("generate", *flags, "--num_outputs=2", "--seed=1", f"--output_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    for path in tmp_path.glob("*.abc"):
        (text,) = tunebook.tunes(path.read_text())
        tune = written.from_score(notate(text))
        assert [len(tune.bars), tune.rhythm, tune.bars[0].meter] == [16, "jig", (6, 8)]
        assert all(bar.key == written.Key(2, "DORIAN") for bar in tune.bars)
        assert {bar.length for bar in tune.bars} == {80640 * 6 // 8}
        assert tune.bars[-1].notes[-1].pitch % 12 == 2
