"""The contract of representations, tested by one that exists only in this file.

The file is its own --config_file: nothing of the project knows of it, and yet it is converted to
tensors, trained on, evaluated beside a baseline, and plays new music.
"""

import collections
import json
import pathlib
import types

import note_seq
import numpy as np
import pytest
from magenta.models.music_vae import configs as magenta_configs
from magenta.models.music_vae import data, lstm_models
from magenta.models.music_vae.base_model import MusicVAE
from note_seq.protobuf import music_pb2

from configs import ConfigRef
from pipelines import representations
from pipelines.examples import conversion, reading, report
from pipelines.media import pieces
from pipelines.representations.contract import Feature, Representation
from pipelines.representations.encodings import Tokens
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import evaluation, generation, training
from pipelines.systems.musicvae.run import open_run
from tests.support.datasets import finish
from tests.support.pieces import scale, tune

QUARTERS, REST = 8, 12


class PitchClassConverter(data.BaseNoteSequenceConverter):
    """The pitch class that begins at each quarter of two bars of 4/4; 12 where none does."""

    def __init__(self):
        super().__init__(
            input_depth=13,
            input_dtype=np.bool_,
            output_depth=13,
            output_dtype=np.bool_,
            presplit_on_time_changes=False,
        )

    def to_tensors(self, item):
        quarters = 2 * (max((note.end_time for note in item.notes), default=0) // 1)
        events = np.full(int(quarters), REST)
        for note in item.notes:
            place = note.start_time * 2
            if place == round(place) < len(events):
                events[round(place)] = note.pitch % 12
        starts = range(0, len(events) - QUARTERS + 1, QUARTERS)
        windows = [np.eye(13, dtype=bool)[events[i : i + QUARTERS]] for i in starts]
        return data.ConverterTensors(inputs=windows, outputs=windows)

    def from_tensors(self, samples, controls=None):
        return [self._sequence(np.argmax(sample, axis=-1)) for sample in samples]

    def _sequence(self, events):
        sequence = music_pb2.NoteSequence(ticks_per_quarter=220, total_time=len(events) / 2)
        sequence.tempos.add(qpm=120)
        sequence.time_signatures.add(numerator=4, denominator=4)
        for quarter, event in enumerate(events):
            if event != REST:
                start = quarter / 2
                pitch = 60 + int(event)
                sequence.notes.add(pitch=pitch, velocity=80, start_time=start, end_time=start + 0.5)
        return sequence


class Right:
    """The share of quarters that are right."""

    def __init__(self):
        self._counts = collections.Counter()

    def update(self, target, predicted, qpm):
        same = np.argmax(target, -1) == np.argmax(predicted, -1)
        self._counts.update(quarters=same.size, right=int(same.sum()))

    def result(self):
        return {**self._counts, "accuracy": self._counts["right"] / self._counts["quarters"]}


def silence(windows, steps_per_bar):
    """A bar of rests."""
    depth = next(iter(windows)).shape[1]
    return np.tile(np.eye(depth)[REST], (steps_per_bar, 1))


class PitchClasses(Representation):
    """The representation of pitch classes, with one step for each quarter."""

    baselines = types.MappingProxyType({"silence": silence})
    inputs_are_outputs = True
    steps_per_quarter = 1
    steps_per_bar = 4
    window_steps = QUARTERS

    def explain(self, piece):
        return "too short: under 8 quarters" if piece.notes else "no notes"

    def encoding(self, name):
        return Tokens(name, [13], np.bool_)

    def metrics(self):
        return Right()


# How the project finds the representation of a converter in a --config_file.
REPRESENTATIONS = {PitchClassConverter: PitchClasses}


def toy():
    """A config of pitch classes, two bars long."""
    hparams = magenta_configs.merge_hparams(
        lstm_models.get_default_hparams(),
        magenta_configs.HParams(
            max_seq_len=QUARTERS, batch_size=4, z_size=4, enc_rnn_size=[8], dec_rnn_size=[8]
        ),
    )
    model = MusicVAE(lstm_models.BidirectionalLstmEncoder(), lstm_models.CategoricalLstmDecoder())
    return magenta_configs.Config(model, hparams, data_converter=PitchClassConverter())


CONFIG_MAP = {"toy": toy}
TOY = ConfigRef("toy", str(pathlib.Path(__file__).resolve()))


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """Records with four tunes to train on, of 12 to 24 quarters, and one to measure."""
    pieces = {f"t{i}": ("train", scale(48 + 16 * i, length=4)) for i in range(4)}
    pieces["short"] = ("train", tune([(60, 0, 8)]))
    # C, D, E, F in the first four of eight quarters.
    pieces["held"] = (
        "test",
        tune([(60 + p, 4 * i, 4) for i, p in enumerate((0, 2, 4, 5))] + [(60, 30, 2)]),
    )
    return finish(tmp_path_factory.mktemp("toy") / "notes", pieces)


@pytest.fixture(scope="module")
def tensors(notes):
    conversion.convert(TOY, notes, f"{notes}-tensors")
    return f"{notes}-tensors"


@pytest.fixture(scope="module")
def run_dir(tensors, tmp_path_factory):
    run_dir = str(tmp_path_factory.mktemp("toy") / "run")

    def open_examples(config):
        return reading.open_examples(f"{tensors}/train.tfrecord*")

    assert training.train(TOY, run_dir, open_examples, 3, training.Options(seed=1)) == 3
    return run_dir


def test_it_is_found_by_the_class_of_its_converter():
    converter = TOY.build().data_converter
    assert type(representations.of(converter)).__name__ == "PitchClasses"

    class Finer(type(converter)):
        """A class below is found by the one above."""

    assert type(representations.of(Finer())).__name__ == "PitchClasses"


def test_a_converter_may_name_its_own():
    class Named(PitchClassConverter):
        representation = PitchClasses

    assert type(representations.of(Named())) is PitchClasses
    # This class names none, and nobody has registered it.
    assert type(representations.of(PitchClassConverter())) is not PitchClasses


def test_its_windows_are_as_long_as_it_says():
    with pytest.raises(UserError, match="max_seq_len must stay 8"):
        TOY._replace(hparams="max_seq_len=16").build()


def test_its_records_say_how_they_are_stored_and_why_others_are_not(tensors, notes):
    manifest = json.loads(pathlib.Path(tensors, "manifest.json").read_text())
    assert manifest["tensors"] == {"outputs": {"kind": "tokens", "depths": [13], "bytes": 1}}
    # 12, 16, 20 and 24 quarters have 1, 2, 2 and 3 windows of eight.
    assert manifest["splits"]["train"]["records"] == 1 + 2 + 2 + 3
    assert manifest["reasons"] == {"too short": 1}
    counted = report.measure(TOY.build(), notes)
    assert counted["splits"]["train"]["details"] == {"too short: under 8 quarters": 1}


@pytest.mark.slow
def test_it_is_measured_by_its_own_metrics_beside_its_own_baseline(run_dir, notes):
    run = open_run(run_dir, given=TOY)
    held_out = reading.open_note_sequences(f"{notes}/test.tfrecord*")
    result = evaluation.evaluate(run, held_out)
    for name in ("teacher_forced", "sampled", "likeliest"):
        assert result[name]["quarters"] == QUARTERS
    constant = evaluation.evaluate_constant(run, "silence", held_out, held_out)["constant"]
    # Four of eight quarters are rests.
    assert (constant["right"], constant["accuracy"]) == (4, 0.5)
    with pytest.raises(UserError, match="it has untrained, silence"):
        evaluation.evaluate_constant(run, "most_frequent_bar", held_out, held_out)


@pytest.mark.parametrize("mode, number", [("sample", 2), ("reconstruct", 1)])
def test_it_plays(mode, number, run_dir, tmp_path):
    """A reconstruction has the windows of the file in their places."""
    path = tmp_path / "in.mid"
    pieces.write(scale(64, length=4), str(path), draw=False)
    run = open_run(run_dir, given=TOY)
    inputs = [str(path)] if mode == "reconstruct" else []
    options = generation.Options(num_outputs=2, pianoroll=False)
    made = generation.generate(run, mode, str(tmp_path / "out"), inputs, options)
    assert len(made) == number
    for name in made:
        sequence = note_seq.midi_file_to_note_sequence(name)
        assert all(60 <= note.pitch < 72 for note in sequence.notes)


def test_two_representations_of_one_class_are_an_error(monkeypatch):
    first, second = (type("M", (), {"REPRESENTATIONS": {int: PitchClasses}}) for _ in range(2))
    monkeypatch.setattr(representations, "modules_of", lambda package: [first, second])
    representations._registered.cache_clear()
    with pytest.raises(ValueError, match="two representations are given for int"):
        representations.of(PitchClassConverter())
    monkeypatch.undo()
    representations._registered.cache_clear()


def test_features_are_counted_in_bins():
    feature = Feature(lambda windows, steps_per_bar: windows, (0, 1, 2.5))
    # Below the first edge; on it; on an edge between two bins; on the last and above it; none.
    counts = feature.counts(np.array([-3, 0, 1, 2.5, 9, np.nan]))
    assert counts.argmax(axis=1).tolist() == [0, 0, 1, 1, 1, 2]
    assert counts.shape == (6, 3) and (counts.sum(axis=1) == 1).all()
    counted = np.array([[2, 0], [1, 5]])
    np.testing.assert_array_equal(Feature(lambda *_: counted).counts(counted), counted)


def test_a_representation_need_not_have_features():
    toy_representation = representations.of(PitchClassConverter())
    assert toy_representation.features() == {}
    windows = np.eye(13)[np.array([[0, REST], [3, 3]])]
    assert toy_representation.onsets(windows).shape == (2, 26)
