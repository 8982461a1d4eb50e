"""Every config of music makes examples of what --corpus=midi makes of MIDI files."""

import numpy as np
import pytest

import configs
from pipelines import representations
from pipelines.corpora import corpora
from pipelines.music import midi_writer
from pipelines.music.limits import Limits
from pipelines.representations.contract import EVAL
from tests.support.pieces import piece_for


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(configs.builders()))
def test_every_config_makes_examples_of_midi_files(tmp_path, name):
    config = configs.get(name)
    written = piece_for(config)
    (tmp_path / "piece.mid").write_bytes(midi_writer.note_sequence_to_midi(written))
    midi = corpora()["midi"]
    [source] = midi.sources([str(tmp_path)], None)
    [piece] = midi.sequences(source, Limits())
    representation = representations.of(config.data_converter)
    representation.set_mode(EVAL)
    counts = []
    for sequence in (written, piece.sequence):
        np.random.seed(0)  # Magenta's note dropout draws in every mode.
        encoded = representation.encode(sequence)
        assert not encoded.reason
        counts.append(len(encoded.examples))
    # The file tells as much as the notes did.
    assert counts[0] == counts[1] > 0
