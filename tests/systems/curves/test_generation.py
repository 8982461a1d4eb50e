"""Continuing files: what is written, what is refused."""

import json

import keras
import numpy as np
import pytest

from configs.curves import HPARAMS
from pipelines.media import reading
from pipelines.music import midi_writer
from pipelines.representations import curves
from pipelines.representations.curves import Vocabulary
from pipelines.runtime.app import UserError
from pipelines.systems.curves import generation, model
from pipelines.systems.curves.generation import Options
from tests.support.melodies import piece, random_notes

pytestmark = pytest.mark.keras3

# Four bars with a pickup, whose last bar lacks the pickup.
JIG = "X:1\nT:A Jig\nM:6/8\nL:1/8\nK:D\nd|def gab|agf efg|fed cde|d3 d2|\n"


def made(name: str) -> model.Model:
    keras.utils.set_random_seed(4)
    tune = curves.read(piece(random_notes(1), key=(0, 0)))
    known = [(pitch, float(time)) for pitch, time in tune.curves()]
    return model.untrained(name, HPARAMS[name], Vocabulary.of(known))._replace(
        checkpoint="run/train/ckpt-7", run_dir="run"
    )


@pytest.fixture(scope="module")
def drawing():
    return made("curves")


def written(path, content) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_a_tune_goes_on_in_its_meter_key_and_tempo(drawing, tmp_path):
    path = written(tmp_path / "jig.abc", JIG)
    options = Options(bars=4, num_outputs=2, seed=1, describe=True)
    paths = generation.generate(drawing, path, str(tmp_path / "out"), options)
    names = [f"curves_continue_jig_seed1_00{i}-of-002.mid" for i in range(2)]
    assert [one.rpartition("/")[2] for one in paths] == names
    before = curves.read(reading.read_piece(path))
    for one in paths:
        for file in (one, one.replace(".mid", ".abc")):
            read = reading.read_piece(file)
            tune = curves.read(read)
            count = len(before.onsets)
            assert tune.onsets[:count].tolist() == before.onsets.tolist()
            assert tune.pitches[:count].tolist() == before.pitches.tolist()
            assert len(tune.onsets) > count
            assert tune.signatures == before.signatures
            # The pickup is in a bar of its own; 4 bars are given, and 4 added: 9 bars at 120.
            assert read.total_time == pytest.approx(9 * 3 * 0.5)
            assert [tempo.qpm for tempo in read.tempos] == pytest.approx([120])
            starts = [note.start_time for note in read.notes]
            ends = [note.end_time for note in read.notes]
            np.testing.assert_allclose(ends, [*starts[1:], read.total_time], atol=1e-3)
    told = json.loads((tmp_path / "out" / "pieces.json").read_text())["pieces"]
    assert [one["file"] for one in told] == names
    assert told[0]["mode"] == "continue" and told[0]["sources"] == ["jig.abc"]
    assert told[0]["settings"] == {
        **{"model": "run", "config": "curves", "step": 7, "bars": 4, "qpm": 120, "seed": 1},
        **{"temperature": 1.0, "top_p": 1.0},
    }
    assert (tmp_path / "out" / told[0]["inputs"][0]).exists()


def test_some_bars_alone_are_the_prompt(drawing, tmp_path):
    path = written(tmp_path / "jig.abc", JIG)
    options = Options(bars=1, prompt_bars=2, num_outputs=1, pianoroll=False)
    [one] = generation.generate(drawing, path, str(tmp_path / "out"), options)
    tune = curves.read(reading.read_piece(one))
    before = curves.read(reading.read_piece(path))
    # The pickup and two bars of six: the rest is the model's.
    assert tune.pitches[:13].tolist() == before.pitches[:13].tolist()
    assert tune.onsets[12] < 3 * 36 <= tune.onsets[13] < tune.onsets[-1] < 4 * 36
    assert not list((tmp_path / "out").glob("*.png"))


def test_the_same_seed_gives_the_same_bytes(drawing, tmp_path):
    path = written(tmp_path / "jig.abc", JIG)
    for folder in ("one", "two"):
        options = Options(num_outputs=1, seed=3, pianoroll=False)
        generation.generate(drawing, path, str(tmp_path / folder), options)
    one, two = (sorted((tmp_path / folder).iterdir()) for folder in ("one", "two"))
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in two]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("chords.mid", [(0, 60), (0, 64), (1, 62)], "has chords: notes of its first voice sound"),
        ("one.mid", [(0, 60)], "no melody to go on from .too few notes: 1 one after another"),
        ("free.abc", "X:1\nM:none\nK:C\nCDEF GABc|", "free.abc has no meter"),
        ("words.abc", "no tune", "has no tune in it"),
    ],
)
def test_what_cannot_be_continued(drawing, tmp_path, name, content, message):
    if isinstance(content, list):
        content = midi_writer.note_sequence_to_midi(piece(content, length=0.9))
    path = written(tmp_path / name, content)
    with pytest.raises(UserError, match=message) as error:
        generation.generate(drawing, path, str(tmp_path / "out"), Options())
    assert "\n" not in str(error.value) and name in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_prompt_that_is_too_short(tmp_path):
    path = written(tmp_path / "short.abc", "X:1\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|\n")
    with pytest.raises(UserError, match="8 notes to go on from; curves-faithful needs 9. Give a l"):
        generation.generate(made("curves-faithful"), path, str(tmp_path / "out"), Options())
    long = written(tmp_path / "long.abc", "X:1\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cdef|\n")
    with pytest.raises(UserError, match="8 notes .* more --prompt_bars, or a longer file"):
        options = Options(prompt_bars=2)
        generation.generate(made("curves-faithful"), long, str(tmp_path / "out"), options)


def test_other_music_is_not_replaced(drawing, tmp_path):
    path = written(tmp_path / "jig.abc", JIG)
    options = Options(num_outputs=1, pianoroll=False)
    [one] = generation.generate(drawing, path, str(tmp_path), options)
    with open(one, "ab") as file:
        file.write(b"other")
    with pytest.raises(UserError, match="exists and holds other music"):
        generation.generate(drawing, path, str(tmp_path), options)
