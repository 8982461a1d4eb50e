"""Magenta without our changes is still broken, and with them it works."""

import signal
import subprocess
import sys

import note_seq
import numpy as np
import pytest
from absl import flags

from pipelines.runtime import magenta_compat


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def data():
    magenta_compat.apply()
    from magenta.models.music_vae import data

    return data


def melody(pitches) -> note_seq.NoteSequence:
    """Quarter notes at 120 qpm, in 4/4."""
    sequence = note_seq.NoteSequence(ticks_per_quarter=220, total_time=len(pitches) / 2)
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=4, denominator=4)
    for i, pitch in enumerate(pitches):
        sequence.notes.add(pitch=pitch, velocity=80, start_time=i / 2, end_time=(i + 1) / 2)
    return sequence


def test_importing_it_imports_nothing_heavy_and_picks_keras_2():
    done = run_python(
        "import os, sys\n"
        "os.environ['TF_USE_LEGACY_KERAS'] = '0'\n"
        "import pipelines.runtime.magenta_compat\n"
        "assert os.environ['TF_USE_LEGACY_KERAS'] == '1'\n"
        "print(sorted({'tensorflow', 'magenta', 'note_seq', 'numpy'} & set(sys.modules)))\n"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_pyfluidsynth_prints_nothing_where_ci_is_set(tmp_path):
    (tmp_path / "fluidsynth.py").write_text("import os\nif os.getenv('CI'): print('found at')\n")
    done = run_python(
        f"import os, sys\nos.environ['CI'] = 'true'\nsys.path.insert(0, {str(tmp_path)!r})\n"
        "import pipelines.runtime.magenta_compat\n"
        "import fluidsynth\n"
        "print(os.environ['CI'], fluidsynth.__file__)\n"
    )
    assert done.stdout.strip() == f"true {tmp_path / 'fluidsynth.py'}", done.stderr


@pytest.mark.parametrize("keras, works", [("", False), ("0", False), ("1", True)])
def test_tensorflow_imported_with_the_wrong_keras_is_refused(keras, works):
    done = run_python(
        "import os, sys, types\n"
        f"os.environ['TF_USE_LEGACY_KERAS'] = {keras!r}\n"
        "sys.modules['tensorflow'] = types.ModuleType('tensorflow')\n"
        "import pipelines.runtime.magenta_compat\n"
        "print('imported', flush=True)\n"
        "pipelines.runtime.magenta_compat.apply()\n"
    )
    assert done.stdout.strip() == "imported"
    refused = "before tensorflow, or set TF_USE_LEGACY_KERAS=1" in done.stderr
    assert refused != works


@pytest.mark.slow
def test_unbatch_still_crashes():
    """When this fails, TensorFlow is mended, and `_with_safe_unbatch` can be removed."""
    done = run_python(
        "import tensorflow as tf\n"
        "print(list(tf.data.Dataset.from_tensors(tf.zeros([2, 3, 0])).unbatch()))\n"
    )
    assert done.returncode == -signal.SIGSEGV


def test_ragged_size_still_raises():
    """When this fails, NumPy takes such lists again, and `_with_sized_controls` can be removed."""
    with pytest.raises(ValueError, match="inhomogeneous"):
        np.size([[np.zeros([1, 3]), np.zeros([2, 3])]])


def test_a_sized_list_tells_numpy_its_size():
    ragged = [[np.zeros([1, 3]), np.zeros([2, 3])], [np.zeros([4, 3])]]
    assert np.size(magenta_compat._Sized(ragged)) == (1 + 2 + 4) * 3
    assert np.size(magenta_compat._Sized([])) == 0


def test_a_second_apply_changes_nothing(data):
    mended = data.get_dataset
    magenta_compat.apply()
    assert data.get_dataset is mended


def test_get_dataset_gives_what_the_converter_gives(data, tmp_path):
    import tensorflow.compat.v1 as tf
    from magenta.models.music_vae import configs

    # Four bars a piece: three windows of two bars, a quarter a step; the control depth is 0.
    pieces = [melody(range(start, start + 16)) for start in (50, 60, 70)]
    path = str(tmp_path / "melodies.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for piece in pieces:
            writer.write(piece.SerializeToString())
    converter = data.OneHotMelodyConverter(
        steps_per_quarter=1, slice_bars=2, max_tensors_per_notesequence=None
    )
    config = configs.Config(
        hparams=configs.HParams(batch_size=1), data_converter=converter, eval_examples_path=path
    )
    unbatch = tf.data.Dataset.unbatch

    batches = []
    with tf.Graph().as_default(), tf.Session() as session:  # as in Magenta's training
        iterator = tf.data.make_one_shot_iterator(data.get_dataset(config)).get_next()
        with pytest.raises(tf.errors.OutOfRangeError):
            while True:
                batches.append(session.run(iterator))

    expected = [
        (inputs, outputs, length)
        for piece in pieces
        for inputs, outputs, _, length in zip(*converter.to_tensors(piece))
    ]
    assert len(batches) == len(expected) == 9
    for (inputs, outputs, controls, length), (want_in, want_out, want_length) in zip(
        batches, expected
    ):
        np.testing.assert_array_equal(inputs[0], want_in)
        np.testing.assert_array_equal(outputs[0], want_out)
        assert controls.shape == (1, 8, 0)
        assert length.tolist() == [want_length] == [8]
    # Melody class 2 + n is the note 21 + n (OneHotMelodyConverter's min_pitch), in any order of
    # the first piece's windows, which begin at its bars: notes 50, 54 and 58.
    first_notes = {int(batch[0][0, 0].argmax()) for batch in batches[:3]}
    assert first_notes == {50 - 21 + 2, 54 - 21 + 2, 58 - 21 + 2}
    assert tf.data.Dataset.unbatch is unbatch


def test_magentas_train_keeps_its_flags_to_itself(data):
    import tensorflow.compat.v1 as tf

    module = magenta_compat.music_vae_train()
    assert module is magenta_compat.music_vae_train()
    shared = flags.FLAGS.flags_by_module_dict()
    assert [name for name in shared if "music_vae_train" in name] == []
    assert (module.FLAGS.run_dir, module.FLAGS.num_steps) == (None, 200000)
    # Elsewhere tf.app.flags are the usual ones again.
    assert tf.app.flags.FLAGS.__dict__["__wrapped"] is flags.FLAGS


@pytest.mark.slow
def test_a_job_defines_flags_of_the_same_names_before_and_after():
    done = run_python(
        "from absl import flags\n"
        "from pipelines.runtime import magenta_compat\n"
        "flags.DEFINE_string('run_dir', 'mine', '')\n"
        "module = magenta_compat.music_vae_train()\n"
        "flags.DEFINE_string('hparams', 'also mine', '')\n"
        "flags.FLAGS(['job', '--run_dir=/given'])\n"
        "import magenta.models.music_vae.music_vae_train\n"
        "print(flags.FLAGS.run_dir, flags.FLAGS.hparams, module.FLAGS.run_dir)\n"
    )
    assert done.stdout == "/given also mine None\n", done.stderr[-3000:]
