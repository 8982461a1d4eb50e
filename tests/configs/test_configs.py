"""The config map."""

import copy
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import configs as magenta_configs
from magenta.models.music_vae import data
from note_seq.protobuf import music_pb2

import configs
from pipelines.media import windows
from pipelines.runtime.app import UserError
from pipelines.runtime.registry import Registry
from tests.support import pieces
from tests.support.jobs import ROOT
from tests.support.pieces import scale

OWN = [name for name in configs.builders() if name not in magenta_configs.CONFIG_MAP]
MELODY = {"reel": 16, "jig": 12, "waltz": 12, "polka": 8, "slipjig": 18}  # Steps in a bar.
# The melody configs of a kind differ only in the length of a bar, so one stands for the others.
# The tasks differ only in their inputs.
DISTINCT = [
    name
    for name in OWN
    if not any(f"-{tune}_" in name for tune in MELODY.keys() - {"reel"})
    and not name.endswith(("-humanize", "-tap"))
]


def test_all_of_magentas_configs_keep_their_names():
    assert set(magenta_configs.CONFIG_MAP) <= set(configs.builders())


@pytest.mark.parametrize("name", sorted(configs.builders()))
def test_each_look_up_is_a_fresh_config_without_a_cap(name):
    first, second = configs.get(name), configs.get(name)
    first.hparams.parse("batch_size=3")
    assert second.hparams.batch_size != 3
    assert first.model is not second.model
    assert first.data_converter is not second.data_converter
    assert second.data_converter.max_tensors_per_notesequence is None
    if name in magenta_configs.CONFIG_MAP:
        assert magenta_configs.CONFIG_MAP[name].hparams.values() == second.hparams.values()


@pytest.mark.parametrize("name", OWN)
def test_own_configs_say_what_they_are(name):
    assert configs.builders()[name].__doc__.strip()


@pytest.mark.parametrize(
    "name, bars",
    [
        ("flat-groove_4bar", 4),
        ("hierdec-groove_4bar", 4),
        ("flat-groove_16bar", 16),
        ("hierdec-groove_16bar", 16),
    ],
)
def test_groove_arithmetic(name, bars):
    config = configs.get(name)
    assert config.hparams.max_seq_len == config.data_converter.window_steps == 16 * bars
    assert config.hparams.free_bits == 12 * bars
    assert config.data_converter.output_depth == 9 * 3
    assert config.hparams.batch_size * config.hparams.max_seq_len == 512 * 64


def test_flat_groove_4bar_is_groovae_but_for_its_windows():
    ours, theirs = configs.get("flat-groove_4bar"), configs.get("groovae_4bar")
    assert ours.hparams.values() == theirs.hparams.values()
    assert type(ours.model.encoder) is type(theirs.model.encoder)
    assert type(ours.model.decoder) is type(theirs.model.decoder)
    assert isinstance(theirs.data_converter, data.GrooveConverter)


@pytest.mark.parametrize(
    "task, stock",
    [
        ("humanize", "humanize"),
        ("tap", "tap_fixed_velocity"),
        ("tap_dropout", "tap_fixed_velocity_note_dropout"),
    ],
)
def test_flat_groove_2bar_is_groovae_but_for_its_windows(task, stock):
    ours, theirs = configs.get(f"flat-groove_2bar-{task}"), configs.get(f"groovae_2bar_{stock}")
    assert ours.hparams.values() == theirs.hparams.values()
    assert ours.hparams.max_seq_len == ours.data_converter.window_steps == 2 * 16
    assert ours.hparams.free_bits == 48
    assert type(ours.model.encoder) is type(theirs.model.encoder)
    assert type(ours.model.decoder) is type(theirs.model.decoder)
    for option in ("humanize", "tapify", "fixed_velocities", "max_note_dropout_probability"):
        assert getattr(ours.data_converter, f"_{option}") == getattr(
            theirs.data_converter, f"_{option}"
        )


# As experiments/dynamics/README.md has them measured.
SMALL_GROOVE = (
    "batch_size=32,enc_rnn_size=[256],dec_rnn_size=[256],z_size=64,"
    "dropout_keep_prob=1.0,learning_rate=0.002"
)
SMALL_MELODY = (
    "batch_size=64,enc_rnn_size=[128],dec_rnn_size=[128],z_size=32,"
    "max_beta=0.04,beta_rate=0.99,learning_rate=0.008"
)


@pytest.mark.parametrize(
    "full, hparams",
    [
        ("flat-groove_4bar", SMALL_GROOVE),
        ("flat-groove_4bar-dynamics", SMALL_GROOVE),
        *((f"flat-{tune}_2bar", SMALL_MELODY) for tune in MELODY),
    ],
)
def test_a_small_config_is_the_full_one_but_for_what_was_measured(full, hparams):
    small, other = configs.get(f"{full}-small"), configs.get(full)
    assert small.hparams.values() != other.hparams.values()
    assert small.hparams.values() == other.hparams.parse(hparams).values()
    assert type(small.model.decoder) is type(other.model.decoder)
    assert small.hparams.max_seq_len == small.data_converter.window_steps
    assert type(small.data_converter) is type(other.data_converter)


@pytest.mark.parametrize("tune, steps", MELODY.items())
@pytest.mark.parametrize("kind, bars", [("flat", 2), ("flat", 16), ("hierdec", 16)])
def test_melody_arithmetic(kind, bars, tune, steps):
    config = configs.get(f"{kind}-{tune}_{bars}bar")
    assert config.hparams.max_seq_len == config.data_converter.window_steps == bars * steps
    # Nothing, the end of a note, and the pitches 55 to 100.
    assert config.data_converter.output_depth == config.data_converter.input_depth == 2 + 46
    assert config.hparams.free_bits == (16 * steps if bars == 16 else 0)
    assert config.hparams.rhythm == ""
    build = configs.builders()[f"{kind}-{tune}_{bars}bar"]
    assert str(bars) in build.__doc__
    if kind == "hierdec":
        # The conductor's steps are the bars.
        assert build().model.decoder._level_lengths == [bars, steps]


@pytest.mark.parametrize(
    "tune, meters",
    [
        ("reel", [(4, 4), (2, 2)]),
        ("jig", [(6, 8)]),
        ("waltz", [(3, 4)]),
        ("polka", [(2, 4)]),
        ("slipjig", [(9, 8)]),
    ],
)
def test_melody_meters_and_transpositions(tune, meters):
    converter = configs.get(f"flat-{tune}_2bar").data_converter
    for meter in [(4, 4), (2, 2), (6, 8), (3, 4), (2, 4), (9, 8), (12, 8), (3, 8)]:
        assert (converter.explain(scale(40, meter=meter)) is None) == (meter in meters)
    # Each of the twelve keys occurs once, where the range has room.
    converter.set_mode("train")
    piece = scale(40, meter=meters[0])
    for note in piece.notes:
        note.pitch = 72
    np.random.seed(0)
    events = {
        int(window.argmax(axis=-1)[0])
        for _ in range(200)
        for window in converter.to_tensors(piece).inputs
    }
    middle = 2 + 72 - 55
    assert events == set(range(middle - 5, middle + 7))


def test_flat_reel_2bar_has_magentas_sizes():
    ours = configs.get("flat-reel_2bar").hparams.values()
    assert ours.pop("rhythm") == ""
    assert ours == configs.get("cat-mel_2bar_small").hparams.values()


def weights(name, hparams=""):
    """How many weights the decoder of a config has."""
    config = configs.get(name)
    config.hparams.parse(f"batch_size=2,{hparams}".rstrip(","))
    steps = config.hparams.max_seq_len
    tf.disable_v2_behavior()
    with tf.Graph().as_default():
        config.model.build(config.hparams, 48, is_training=False)
        x = tf.zeros([2, steps, 48])
        config.model._compute_model_loss(x, x, tf.fill([2], steps), None)
        return sum(
            int(np.prod(v.shape)) for v in tf.trainable_variables() if "decoder" in v.op.name
        )


@pytest.mark.slow
def test_flat_and_hierarchical_decoders_have_equally_many_weights():
    # The formulas of configs/melody.py.
    def flat(h, z):
        return 12 * h * h + (8 * z + 252) * h + 48

    def hierarchical(h, z):
        return 32 * h * h + (4 * z + 268) * h + 48

    # Polkas have the shortest bars, so their graph is built fastest.
    assert weights("flat-polka_16bar") == flat(730, 512) == 9_568_888
    assert weights("hierdec-polka_16bar") == hierarchical(512, 512) == 9_574_448
    assert (
        weights("flat-polka_16bar", "z_size=256,dec_rnn_size=[364,364]")
        == flat(364, 256)
        == 2_427_200
    )
    assert hierarchical(256, 256) == 2_427_952


def test_the_rhythm_hparam_reaches_the_converter():
    config = configs.get("flat-reel_2bar")
    piece = scale(64)
    piece.sequence_metadata.genre.append("hornpipe")
    for converter in (config.data_converter, copy.deepcopy(config).data_converter):
        converter.set_mode("train")
        assert converter.explain(piece) is None
    config.hparams.parse("rhythm=reel")
    for converter in (config.data_converter, copy.deepcopy(config).data_converter):
        assert converter.explain(piece).startswith("filtered by rhythm")
    # Another look-up has its own hparams.
    assert configs.get("flat-reel_2bar").data_converter.explain(piece) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTINCT)
def test_own_configs_learn(name):
    """A few steps on one batch lower the loss, and no variable is left without a gradient."""
    config = configs.get(name)
    config.hparams.parse(
        "batch_size=4,enc_rnn_size=[8],dec_rnn_size=[8,8],z_size=4,"
        "learning_rate=0.03,dropout_keep_prob=1.0"
    )
    converter, steps = config.data_converter, config.hparams.max_seq_len
    rng = np.random.default_rng(0)
    if converter.output_dtype == np.bool_:  # One event of four at each step.
        batch = np.eye(converter.output_depth)[rng.integers(4, size=(4, steps))]
    else:
        batch = rng.random((4, steps, converter.output_depth)) > 0.8
    tf.disable_v2_behavior()
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        config.model.build(config.hparams, converter.output_depth, is_training=True)
        sequence = tf.constant(batch, tf.float32)
        optimizer = config.model.train(
            sequence, sequence, tf.fill([4], steps), control_sequence=None
        )
        gradients = optimizer.compute_gradients(config.model.loss)
        assert all(gradient is not None for gradient, _ in gradients)
        step = optimizer.apply_gradients(gradients)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            losses = [session.run([config.model.loss, step])[0] for _ in range(20)]
    assert losses[-1] < 0.9 * losses[0]


def test_conductor_has_no_dropout_when_not_training():
    """Two passes over the same batch with the same z give the same loss."""
    tf.disable_v2_behavior()
    losses = {}
    for is_training in (False, True):
        config = configs.get("hierdec-groove_4bar")
        config.hparams.parse("batch_size=2,dec_rnn_size=[8,8],dropout_keep_prob=0.5,z_size=4")
        with tf.Graph().as_default():
            decoder = config.model.decoder
            decoder.build(config.hparams, 27, is_training=is_training)
            x = tf.ones([2, 64, 27])
            loss, _, _ = decoder.reconstruction_loss(x, x, tf.fill([2], 64), 3 * tf.ones([2, 4]))
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                losses[is_training] = [session.run(loss) for _ in range(2)]
    np.testing.assert_array_equal(*losses[False])
    # The test can fail: with dropout the passes differ.
    assert not np.array_equal(*losses[True])


USER_FILE = """
from configs import groove

def mine():
    '''My own.'''
    config = groove.flat_groove_4bar()
    config.hparams.parse('z_size=7')
    return config

CONFIG_MAP = {'mine': mine, 'as_a_config': mine()}
"""


def test_a_users_own_file(tmp_path):
    path = tmp_path / "my_configs.py"
    path.write_text(USER_FILE)
    for name in ("mine", "as_a_config"):
        config = configs.get(name, str(path))
        assert config.hparams.z_size == 7
        config.hparams.z_size = 8
        assert configs.get(name, str(path)).hparams.z_size == 7
    with pytest.raises(UserError, match="no config is named 'mine'"):
        configs.get("mine")


@pytest.mark.parametrize(
    "text, message",
    [
        ("x = 1", "CONFIG_MAP"),
        ("CONFIG_MAP = {'flat-groove_4bar': None}", "exists already"),
        ("CONFIG_MAP = {'x': 3}", "x is not a magenta"),
        ("x = (", "line 1: SyntaxError"),
        ("\n\nimport nosuchmodule", "line 3: ModuleNotFoundError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("def f():\n    return 1 / 0\nCONFIG_MAP = {'x': f}", "line 2: ZeroDivisionError"),
    ],
)
def test_a_users_file_that_cannot_be_used_is_named(text, message, tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        configs.get("x", str(path))
    assert "bad.py" in str(raised.value)


@pytest.mark.parametrize(
    "levels, message",
    [
        ([4, 12], r"level_lengths=\[4, 12\] make 48 steps \(4 x 12\), but max_seq_len is 64"),
        ([16], r"level_lengths=\[16\] make 16 steps"),
        ([2, 2, 0], r"level_lengths=\[2, 2, 0\] make 0 steps"),
    ],
)
def test_levels_that_do_not_make_up_the_steps_are_named(levels, message, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(f"""
from configs import groove
from magenta.models.music_vae import lstm_models
decoder = lstm_models.HierarchicalLstmDecoder(lstm_models.GrooveLstmDecoder(), {levels})
CONFIG_MAP = {{"mine": groove._config(4, decoder, z_size=8, batch_size=2)}}
""")
    with pytest.raises(UserError, match=f"mine.py: mine: the decoder's {message}"):
        configs.get("mine", str(path))


def test_hparams_that_the_levels_do_not_make_up_are_named():
    with pytest.raises(
        UserError, match=r"=max_seq_len=128: the decoder's .*make 256 steps \(16 x 16\)"
    ):
        configs.ConfigRef("hierdec-trio_16bar", hparams="max_seq_len=128").build()


def test_a_users_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        configs.get("flat-groove_4bar", str(tmp_path / "none.py"))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="flat-groove_4bar"):
        configs.get("flat_groove_4bars")


def test_a_duplicate_name_is_rejected():
    registry = Registry("thing")
    registry.add("a", 1)
    with pytest.raises(ValueError, match="'a'"):
        registry.add("a", 2)


def test_magentas_melodies_that_repeat_are_all_kept():
    """Eight equal bars of 16 steps: seven equal windows of two bars, 120 quarters a minute."""
    sequence = music_pb2.NoteSequence()
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=4, denominator=4)
    for i in range(32):
        sequence.notes.add(pitch=60 + i % 4, velocity=80, start_time=i / 2, end_time=(i + 1) / 2)
    sequence.total_time = 16
    found = configs.get("cat-mel_2bar_small").data_converter.to_tensors(sequence).outputs
    assert len(found) == 7
    assert all((window == found[0]).all() for window in found)


def published() -> list[tuple[str, str, str]]:
    """The rows of docs/checkpoints.md: the file, the config and how to use it."""
    text = (ROOT / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    base = "https://storage.googleapis.com/magentadata/models/music_vae/checkpoints"
    row = rf"\| \[([\w.-]+\.tar)\]\({re.escape(base)}/([\w.-]+\.tar)\) \| `([\w-]+)` \|.*\| (.+) \|"
    found = re.findall(row, text)
    assert all(shown == linked for shown, linked, _, _ in found)
    return [(file, config, use) for file, _, config, use in found]


def test_the_eleven_published_checkpoints_have_configs_of_magenta():
    rows = published()
    assert len({file for file, _, _ in rows}) == len(rows) == 11
    for file, config, use in rows:
        assert config in magenta_configs.CONFIG_MAP
        # The file is named after its config; one config has two files, one another ending.
        assert file.startswith(config.removesuffix("_tfds"))
        conditioned = configs.get(config).data_converter.control_depth > 0
        assert conditioned == ("`evaluate` only" in use)
        assert conditioned != ("--mode=" in use)


def test_the_published_checkpoints_take_what_their_table_says():
    """Sixteen bars of a melody, of drums, and of both with a bass."""
    melody = scale(256, length=4)
    drums = pieces.drums([(0.5 * at, 36 if at % 2 else 38, 90) for at in range(64)])
    trio = music_pb2.NoteSequence.FromString(melody.SerializeToString())
    trio.notes.extend(drums.notes)
    for at in range(64):
        note = trio.notes.add(pitch=40 + at % 5, velocity=90, instrument=1, program=33)
        note.start_time, note.end_time = 0.5 * at, 0.5 * at + 0.5
    for _, name, use in published():
        if "interpolate" in use or "reconstruct" in use:
            given = melody if "mel" in name else trio if "trio" in name else drums
            config = configs.get(name)
            found = windows.of_piece(config, name, given, name)
            assert len(found.inputs) * config.hparams.max_seq_len == 256, name
