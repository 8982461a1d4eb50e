"""models.accelerated beside Magenta's own classes: each test runs the same on both."""

import itertools
import logging

import numpy as np
import pytest

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402
from magenta.models.music_vae import lstm_models  # noqa: E402
from magenta.models.music_vae.base_model import MusicVAE  # noqa: E402

import configs  # noqa: E402
from models import accelerated  # noqa: E402
from models.accelerated import decoders, draws, layouts, lstm, operations  # noqa: E402
from models.accelerated.decoders import TeacherForcedDecoder  # noqa: E402
from models.dynamics import DynamicsLstmDecoder  # noqa: E402
from pipelines.runtime import cores  # noqa: E402
from tests.support import cudnn_reference  # noqa: E402
from tests.support.model_pairs import (  # noqa: E402
    DRAWN,
    FLAT,
    KINDS,
    UNITS,
    Built,
    Kind,
    assert_close,
    assert_same,
    encoder,
    groove,
    hierarchical,
    hierarchical_encoder,
    make_batch,
    make_certain,
    make_hparams,
    melody,
    pair,
    pair_fed_with_the_likeliest,
)


@pytest.fixture(autouse=True)
def graph():
    tf.disable_v2_behavior()
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_checkpoint_of_either_gives_the_other_the_same_loss(name, tmp_path):
    """The posterior, gradients, metrics and outputs are the same too, in both directions."""
    kind = KINDS[name]
    theirs, ours = pair(kind)
    losses = []
    with theirs, ours:
        for seed, (writer, reader) in enumerate([(theirs, ours), (ours, theirs)]):
            writer.randomize(seed)
            path = writer.saver.save(writer.session, str(tmp_path / f"{seed}.ckpt"))
            reader.saver.restore(reader.session, path)
            assert_same(theirs, ours)
            losses.append(ours.run(ours.losses))
        assert np.all(losses[0][:2] != losses[1][:2])
        assert_same_metrics(
            theirs.measure(), ours.measure(), name, theirs.feeds[theirs.given["lengths"]]
        )
        if name != "hierdec-trio_16bar":  # Magenta's decoder raises.
            assert_close(ours.run(ours.results.rnn_output), theirs.run(theirs.results.rnn_output))


def assert_same_metrics(theirs, ours, name, lengths):
    segments = [metric for metric in theirs if metric.startswith("segment/")]
    assert ours.keys() == theirs.keys() - set(segments)
    assert len(ours) > 0
    if name in FLAT:
        for metric, value in theirs.items():
            assert ours[metric] == pytest.approx(value, rel=1e-5), metric
        return
    kind = KINDS[name]
    splits = len({metric.split("/")[1] for metric in segments})
    if lengths.ndim == 1:
        lengths = np.tile(lengths[:, None] // splits, [1, splits])
    # Magenta takes the mean over segments, however full; we take that over steps.
    counts = lengths.sum(axis=0)
    for metric in ours:
        if "per_class" in metric:  # It is not a mean over segments: a class may be missing in one.
            continue
        of_segments = [theirs[f"segment/{i:03d}/{metric}"] for i in range(splits)]
        assert ours[metric] == pytest.approx(np.average(of_segments, weights=counts), rel=1e-5)
        if not kind.segments:
            assert ours[metric] == pytest.approx(theirs[metric], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cat-mel_2bar_med_chords", "groovae_4bar", "hierdec-mel_16bar"])
@pytest.mark.parametrize("layout", ["whole", "halves", "for XLA"])
def test_the_layout_makes_no_difference(name, layout, monkeypatch):
    """The layouts: that for two cores, that for others, and that for XLA."""
    monkeypatch.setattr(cores, "halved", lambda: layout != "whole")
    monkeypatch.setattr(cores, "_HALVES_FROM", 0)
    theirs, ours = pair(KINDS[name], fused=layout != "for XLA")
    with theirs, ours:
        kinds = [operation.type for operation in ours.graph.get_operations()]
        # The encoder has two directions of two layers; decoder and conductor have two layers each.
        layers = 4 + (2 if name == "hierdec-mel_16bar" else 1) * 2 * (1 + (layout == "halves"))
        assert kinds.count("BlockLSTM") == (0 if layout == "for XLA" else layers)
        theirs.randomize(0)
        ours.randomize(0)
        assert_same(theirs, ours)


@pytest.fixture
def without_gpu(monkeypatch):
    """cuDNN's documented arithmetic on the CPU, in its place."""
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", cudnn_reference.cudnn_rnn_v3)


# Sizes of all layers alike, with which cuDNN runs them in one call, and not.


@pytest.mark.slow
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize(
    "name",
    [
        "cat-mel_2bar_med_chords",
        "groovae_4bar",
        "hierdec-groove_16bar",
        "hierdec-trio_16bar",
        "hier-multiperf_vel_1bar_med",
        "three levels",
    ],
)
def test_by_cudnn_a_model_computes_the_same(name, units, without_gpu):
    """Encoder, conductor and decoder, of any lengths, with gradients by all variables."""
    theirs, ours = pair(KINDS[name], layout="cudnn", **UNITS[units])
    with theirs, ours:
        # Where inputs are known, no layer runs in loops of ours.
        kinds = {operation.type for operation in ours.graph.get_operations()}
        assert not kinds & {"BlockLSTM", "LSTMBlockCell", "PartitionedCall"}
        theirs.randomize(0)
        ours.randomize(0)
        assert_same(theirs, ours)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["cat-mel_2bar_med_chords", "hierdec-groove_16bar", "three levels"]
)
def test_in_loops_of_xla_a_model_computes_the_same(name):
    theirs, ours = pair(KINDS[name], layout="xla")
    with theirs, ours:
        kinds = [operation.type for operation in ours.graph.get_operations()]
        assert "BlockLSTM" not in kinds
        assert "PartitionedCall" in kinds
        theirs.randomize(0)
        ours.randomize(0)
        assert_same(theirs, ours)


def test_each_direction_of_cudnns_encoder_drops_by_itself(without_gpu):
    """An input is kept if one of the directions keeps it; the gradient of others is 0."""
    kind = WIDE["flat"]
    ours = Built(
        kind,
        accelerated.accelerated(kind.model(), layout="cudnn"),
        copies(kind, 8),
        is_training=True,
        seed=5,
        dropout_keep_prob=KEEP,
    )
    with ours:
        ours.randomize(0)
        with ours.graph.as_default():
            both = tf.gradients(ours.posterior.mean(), [ours.given["x"]])
        kept = ours.run(both)[0].reshape(-1, 30) != 0
    keep = 1 - (1 - KEEP) ** 2
    assert abs(kept.mean() - keep) < 5 * np.sqrt(keep * (1 - keep) / kept.size)
    assert len({row.tobytes() for row in kept}) >= len(kept) - 2


@pytest.mark.slow
def test_when_training_there_are_no_metrics():
    theirs, ours = pair(KINDS["cat-mel_2bar_small"], is_training=True)
    with theirs, ours:
        assert ours.metrics == {}
        theirs.randomize(0)
        ours.randomize(0)
        assert_same(theirs, ours)


def classes(part):
    """The class of an encoder or decoder, and what there is in it, however many of each."""
    if hasattr(part, "_core_encoder_cls"):
        return type(part), part._core_encoder_cls
    cores = getattr(part, "_core_decoders", None) or [getattr(part, "_core_decoder", None)]
    return type(part), frozenset(classes(core) for core in cores if core)


def in_magentas_place(kinds):
    """The same classes with the decoder of dynamics, which test_dynamics.py compares, as Magenta's.

    Only its output layer and its loss of a step are its own.
    """
    kind, cores = kinds
    if kind is DynamicsLstmDecoder:
        kind = lstm_models.GrooveLstmDecoder
    return kind, frozenset(in_magentas_place(core) for core in cores)


def test_every_config_is_of_a_kind_that_is_compared():
    models = [kind.model() for kind in KINDS.values()]
    encoders = {classes(model.encoder) for model in models}
    decoders = {classes(model.decoder) for model in models}
    for name, build in configs.builders().items():
        model = build().model
        assert classes(model.encoder) in encoders, name
        assert in_magentas_place(classes(model.decoder)) in decoders, name


# --- the graph -------------------------------------------------------------------------------


def training_nodes(kind, make, batch):
    """How many nodes a graph has that trains."""
    x, lengths, _, controls = make_batch(kind, batch)
    with tf.Graph().as_default() as graph:
        model = make(kind.model())
        model.build(make_hparams(kind, batch), kind.depth, is_training=True)
        controls = None if controls is None else tf.constant(controls)
        optimizer = model.train(tf.constant(x), tf.constant(x), tf.constant(lengths), controls)
        forward = len(graph.get_operations())
        optimizer.minimize(model.loss)
        return forward, len(graph.get_operations())


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_the_graph_does_not_grow_with_the_batch(name):
    kind = KINDS[name]
    small, large = (training_nodes(kind, accelerated.accelerated, n) for n in (3, 40))
    # tf.zeros is one node, or three from 1,000 values on.
    assert all(0 <= more - few < 10 for few, more in zip(small, large))
    assert small[0] < small[1]
    if name == "cat-mel_2bar_small":  # The test can fail: Magenta's graph grows.
        small, large = (training_nodes(kind, lambda model: model, n) for n in (3, 40))
        assert large[0] > small[0] + 37


@pytest.mark.slow
def test_the_graph_does_not_grow_with_the_segments():
    """It does not grow with the steps either."""
    nodes = set()
    for segments in (2, 3, 7):
        kind = Kind(
            encoder,
            lambda segments=segments: hierarchical(groove(), segments, 5),
            "groove",
            steps=5 * segments,
        )
        nodes.add(training_nodes(kind, accelerated.accelerated, 3))
    assert len(nodes) == 1


# --- scheduled sampling ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_with_what_it_gave_itself_a_decoder_gives_magentas_loss(name, monkeypatch):
    """Every step is fed with the output before it, in segments from their first step on."""
    make_certain(monkeypatch)
    kind = KINDS[name]
    sampling = dict(sampling_schedule="constant", sampling_rate=1.0, is_training=True)
    theirs, ours = pair(kind, **sampling)
    forced = Built(kind, accelerated.accelerated(kind.model()), make_batch(kind, 4))
    with theirs, ours, forced:
        for built in (theirs, ours, forced):
            built.randomize(0)
        assert_same(theirs, ours)
        assert abs(forced.run(forced.losses)[0] / ours.run(ours.losses)[0] - 1) > 5e-5


# Kinds whose draws `models.accelerated.draws` knows.


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_in_a_compiled_loop_what_it_gave_itself_gives_magentas_loss(name, monkeypatch):
    theirs, ours = pair_fed_with_the_likeliest(name, "xla", monkeypatch)
    with theirs, ours:
        kinds = {operation.type for operation in ours.graph.get_operations()}
        # Neither of TensorFlow's loops: the recurrence is in compiled functions alone.
        assert not kinds & {"While", "StatelessWhile", "LSTMBlockCell"}
        theirs.randomize(0)
        ours.randomize(0)
        assert_same(theirs, ours)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cat-mel_2bar_med_chords", "groovae_4bar", "hierdec-mel_16bar"])
@pytest.mark.parametrize("keep", [1.0, 0.6])
def test_compiled_a_loop_computes_what_it_does_uncompiled(name, keep, monkeypatch):
    """With the same noise of sampling and dropout, values and gradients are the same."""
    kind = KINDS[name]
    built = []
    compile_and_run = layouts.Layout.run

    def only_run(self, function, *given):
        """TensorFlow runs the same function, without XLA."""
        return tf.function(function, autograph=False)(*given)

    for run in (only_run, compile_and_run):
        monkeypatch.setattr(layouts.Layout, "run", run)
        numbers = itertools.count()

        def noise(shape, numbers=numbers):
            return tf.random.stateless_uniform(shape, [next(numbers), 0])

        def mask(shape, keep, noise=noise):
            return tf.floor(keep + noise(shape)) / keep

        monkeypatch.setattr(draws, "noise", noise)
        monkeypatch.setattr(operations, "mask", mask)
        monkeypatch.setattr(decoders, "mask", mask)
        built.append(
            Built(
                kind,
                accelerated.accelerated(kind.model(), layout="xla"),
                make_batch(kind, 4),
                is_training=True,
                seed=3,
                sampling_schedule="constant",
                sampling_rate=0.5,
                dropout_keep_prob=keep,
            )
        )
        # Built here, since it runs the loop too.
        assert built[-1].gradients
    plain, compiled = built
    with plain, compiled:
        plain.randomize(0)
        compiled.randomize(0)
        first = plain.run([plain.losses, plain.gradients])
        found = compiled.run([compiled.losses, compiled.gradients])
        np.testing.assert_allclose(found[0], first[0], rtol=1e-5)
        for variable, gradient in first[1].items():
            assert_close(found[1][variable], gradient, rtol=1e-4)


def copies(kind, n):
    """A batch of one full sequence, n times."""
    x, lengths, z, controls = make_batch(kind, 4)
    return tuple(
        None if a is None else np.tile(a[:1], [n] + [1] * (a.ndim - 1))
        for a in (x, lengths, z, controls)
    )


SHORT = {
    "flat": (Kind(encoder, melody, [5], steps=4), 3),
    "flat groove": (Kind(encoder, groove, "groove", steps=4), 3),
    "hierarchical": (Kind(encoder, lambda: hierarchical(melody(), 2, 2), [5], steps=4), 2),
}


# With variables of this seed no decoder draws what the target has.
SEED = 3


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("name", SHORT)
def test_each_step_of_each_sequence_draws_by_the_schedule(name, step, monkeypatch):
    """All sequences are the same, so that a loss tells which steps were fed with drawn ones.

    Of 4 steps, 3 can be fed with a draw; of 2 x 2 steps, 1 in each segment. So there are 2^3 and
    2^2 losses, no others, and all of them are Magenta's.
    """
    make_certain(monkeypatch)
    kind, places = SHORT[name]
    # p = 1 - k / (k + e^(step / k)), with k = 2: 1/3 at step 0; 0.69 at 3.
    probability = 1 - 2 / (2 + np.exp(step / 2))
    arguments = dict(
        data=copies(kind, 100),
        is_training=True,
        seed=3,
        sampling_schedule="inverse_sigmoid",
        sampling_rate=2,
    )
    losses = []
    theirs, ours = pair(kind, **arguments)
    with theirs, ours:
        for built in (theirs, ours):
            built.randomize(SEED)
            built.set_global_step(step)
            losses.append(np.sort(np.concatenate([built.run(built.losses) for _ in range(8)])))
    expected, found = losses
    n = len(found)
    # Losses that differ only by rounding count as one.
    values = expected[np.diff(expected, prepend=0) > 1e-3]
    assert len(values) == 2**places
    which = abs(found[:, None] - values).argmin(axis=1)
    np.testing.assert_allclose(found, values[which], atol=1e-3)
    # The number of draws behind each loss gives its probability.
    drawn = np.array([bin(i).count("1") for i in range(2**places)])
    expected_frequencies = np.sort(probability**drawn * (1 - probability) ** (places - drawn))
    frequencies = np.bincount(which, minlength=len(values)) / n
    error = np.sqrt(expected_frequencies * (1 - expected_frequencies) / n)
    assert np.all(abs(np.sort(frequencies) - expected_frequencies) < 5 * error)
    # Each loss is also as frequent as it is with Magenta.
    theirs = np.bincount(abs(expected[:, None] - values).argmin(axis=1)) / n
    assert np.all(abs(frequencies - theirs) < 5 * np.sqrt(2 * theirs * (1 - theirs) / n))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cat-mel_2bar_small", "groovae_4bar", "flat-trio_16bar"])
def test_what_is_drawn_is_drawn_afresh_in_each_step_and_run(name):
    """Here `_sample` is Magenta's own, and the mean loss is Magenta's too."""
    kind = KINDS[name]
    arguments = dict(
        data=copies(kind, 64),
        is_training=True,
        seed=4,
        sampling_schedule="constant",
        sampling_rate=0.5,
    )
    means, errors = [], []
    theirs, ours = pair(kind, **arguments)
    with theirs, ours:
        for built in (theirs, ours):
            built.randomize(0)
            losses = np.concatenate([built.run(built.losses) for _ in range(10)])
            assert len(set(losses)) > 600
            means.append(losses.mean())
            errors.append(losses.std() / np.sqrt(len(losses)))
    assert abs(means[0] - means[1]) < 4.5 * np.hypot(*errors)


# --- dropout ---------------------------------------------------------------------------------

KEEP = 0.6
WIDE = {
    "flat": Kind(encoder, melody, [30], steps=6),
    "controls": Kind(encoder, melody, [30], steps=6, controls=2),
    "hierarchical": Kind(encoder, lambda: hierarchical(melody(), 3, 2), [30], steps=6),
    "sampling": Kind(encoder, melody, [30], steps=6),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDE)
def test_each_step_of_each_sequence_has_its_own_mask(name):
    """An input that was dropped has a gradient of 0."""
    kind = WIDE[name]
    ours = Built(
        kind,
        accelerated.accelerated(kind.model()),
        copies(kind, 8),
        is_training=True,
        seed=5,
        dropout_keep_prob=KEEP,
        # The graph is then that of scheduled sampling, but takes the inputs that it is given.
        **(dict(sampling_schedule="constant", sampling_rate=1e-30) if name == "sampling" else {}),
    )
    with ours:
        ours.randomize(0)
        with ours.graph.as_default():
            [inputs] = tf.gradients(ours.losses, ours.given["shifted"])
            [encoded] = tf.gradients(ours.posterior.mean(), ours.given["x"])
        masks = [[m != 0 for m in ours.run([inputs, encoded])] for _ in range(2)]
    # Each direction of the encoder drops by itself: an input is kept if one of them keeps it.
    for which, keep in ((0, KEEP), (1, 1 - (1 - KEEP) ** 2)):
        rows = np.concatenate([run[which].reshape(-1, 30) for run in masks])
        # Two of 96 masks of 30 values are the same only by chance.
        assert len({row.tobytes() for row in rows}) >= 94
        assert len(rows) == 2 * 8 * 6
        assert abs(rows.mean() - keep) < 5 * np.sqrt(keep * (1 - keep) / rows.size)


def test_z_has_a_mask_in_each_step():
    """z is an input of every step, and is dropped there like any other input."""
    kind = WIDE["flat"]
    with tf.Graph().as_default():
        tf.set_random_seed(6)
        seen = []
        decoder = accelerated.accelerated(kind.model()).decoder
        decoder.build(make_hparams(kind, 4, dropout_keep_prob=KEEP, z_size=20), 30, True)
        x, lengths, _, _ = copies(kind, 4)
        z = tf.ones([4, 20])
        sequence = lstm.sequence

        def note(inputs, state, layer, constant=None, layout=layouts.LOOPS):
            seen.append((inputs, constant))
            return sequence(inputs, state, layer, constant, layout)

        lstm.sequence = note
        try:
            decoder.reconstruction_loss(tf.constant(x), tf.constant(x), tf.constant(lengths), z)
        finally:
            lstm.sequence = sequence
        [([_, repeated], constant), ([hidden], none)] = seen
        assert constant is none is None
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            repeated, hidden = session.run([repeated, hidden])
    rows = repeated.reshape(-1, 20)
    # KEEP is 39,322 / 65,536, rounded.
    assert set(np.unique(rows)) == {0, np.float32(65536 / 39322)}
    assert len({row.tobytes() for row in rows}) == 6 * 4
    # The next layer's inputs are dropped too.
    p = np.mean(hidden == 0)
    assert abs(p - (1 - KEEP)) < 5 * np.sqrt(KEEP * (1 - KEEP) / hidden.size)


CONDUCTED = {
    "hierdec-mel_16bar": KINDS["hierdec-mel_16bar"],
    "three levels": KINDS["three levels"],
    "autoregression": Kind(
        encoder, lambda: hierarchical(melody(), 3, 4, disable_autoregression=False), [5]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONDUCTED)
def test_the_conductors_dropout_is_for_training(name):
    """Magenta's is on in evaluation too, so that a model has another loss in each run."""
    kind = CONDUCTED[name]
    theirs, ours = pair(kind, dropout_keep_prob=KEEP)
    without = Built(kind, kind.model(), make_batch(kind, 4))
    with theirs, ours, without:
        for built in (theirs, ours, without):
            built.randomize(0)
        assert theirs.run(theirs.losses)[0] != theirs.run(theirs.losses)[0]
        np.testing.assert_array_equal(ours.run(ours.losses), ours.run(ours.losses))
        np.testing.assert_allclose(ours.run(ours.losses), without.run(without.losses), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cat-mel_2bar_small", "hierdec-mel_16bar"])
def test_with_dropout_the_losses_have_magentas_mean_and_spread(name):
    """If segments had the same masks, the mean would be the same, but the spread larger."""
    kind = KINDS[name]
    arguments = dict(data=copies(kind, 64), is_training=True, seed=7, dropout_keep_prob=KEEP)
    samples = []
    theirs, ours = pair(kind, **arguments)
    without = Built(kind, kind.model(), copies(kind, 1))
    with theirs, ours, without:
        for built in (theirs, ours, without):
            built.randomize(0)
        for built in (theirs, ours):
            samples.append(np.concatenate([built.run(built.losses) for _ in range(16)]))
        [plain] = without.run(without.losses)
    expected, found = samples
    assert len(set(found)) > 1000
    error = np.hypot(expected.std(), found.std()) / np.sqrt(len(found))
    assert expected.std() > 100 * abs(plain) * np.finfo(np.float32).eps  # Dropout changes the loss.
    assert abs(expected.mean() - found.mean()) < 4.5 * error
    # The logarithm of a variance of n values has a variance of about (kurtosis - 1) / n.
    kurtosis = np.mean(((expected - expected.mean()) / expected.std()) ** 4)
    error = np.sqrt(2 * (kurtosis - 1) / len(found))
    assert abs(np.log(found.var() / expected.var())) < 4.5 * error


# --- what stays Magenta's --------------------------------------------------------------------


class OwnLoop(lstm_models.CategoricalLstmDecoder):
    """A user's decoder, whose loop counts how often it is used."""

    calls = 0

    def _decode(self, *args, **kwargs):
        OwnLoop.calls += 1
        return super()._decode(*args, **kwargs)


class OwnLoss(lstm_models.BaseLstmDecoder):
    """A user's decoder with no more than the class asks for."""

    def _flat_reconstruction_loss(self, flat_x_target, flat_rnn_output):
        loss = tf.reduce_sum(tf.abs(flat_x_target - flat_rnn_output), axis=1)
        return loss, {"metrics/own": tf.metrics.mean(loss)}

    def _sample(self, rnn_output, temperature=1.0):
        return tf.sign(rnn_output)


def re_encoding():
    """A model whose decoder encodes its segments with the model's own encoder."""
    encoder = hierarchical_encoder(4, 3)
    return MusicVAE(encoder, hierarchical(melody(), 3, 4, hierarchical_encoder=encoder))


def of(encoder_class, decoder):
    return lambda: MusicVAE(encoder_class(), decoder())


# For each case: what makes the model, the parts that say that they stay Magenta's, and hparams.
STAYS = {
    "autoregression": (
        of(encoder, lambda: hierarchical(melody(), 3, 4, disable_autoregression=False)),
        ["HierarchicalLstmDecoder"],
        {},
    ),
    "autoregression above": (
        of(encoder, lambda: hierarchical(melody(), 3, 2, 2, disable_autoregression=[1])),
        ["HierarchicalLstmDecoder"],
        {},
    ),
    "re-encoder": (re_encoding, ["HierarchicalLstmDecoder", "HierarchicalLstmEncoder"], {}),
    "residual decoder": (
        of(encoder, melody),
        ["CategoricalLstmDecoder"],
        dict(residual_decoder=True),
    ),
    "residual conductor": (
        of(encoder, lambda: hierarchical(melody(), 3, 4)),
        ["HierarchicalLstmDecoder", "CategoricalLstmDecoder"],
        dict(residual_decoder=True),
    ),
    "residual encoder": (
        of(encoder, melody),
        ["BidirectionalLstmEncoder"],
        dict(residual_encoder=True),
    ),
    "another encoder": (of(lstm_models.LstmEncoder, melody), ["LstmEncoder"], {}),
    "own loop": (of(encoder, OwnLoop), ["OwnLoop"], {}),
    "own loop in segments": (of(encoder, lambda: hierarchical(OwnLoop(), 3, 4)), ["OwnLoop"], {}),
    "own loss": (of(encoder, OwnLoss), [], {}),
    "own loss in segments": (of(encoder, lambda: hierarchical(OwnLoss(), 3, 4)), [], {}),
}


@pytest.fixture
def said(caplog):
    """The first words of the log lines that say what stays Magenta's."""
    verbosity = tf.logging.get_verbosity()
    tf.logging.set_verbosity(tf.logging.WARN)
    yield lambda: [
        record.getMessage().split()[0]
        for record in caplog.records
        if record.levelno == logging.WARNING and "stays Magenta's own" in record.getMessage()
    ]
    tf.logging.set_verbosity(verbosity)


@pytest.mark.slow
@pytest.mark.parametrize("name", STAYS)
def test_what_has_no_counterpart_stays_magentas_and_says_so(name, said):
    make, parts, hparams = STAYS[name]
    kind = Kind(None, melody, [5])
    x, _, z, _ = make_batch(kind, 4)
    data = x, np.full(4, 12, np.int32), z, None
    theirs = Built(kind, make(), data, **hparams)
    ours = accelerated.accelerated(make())
    assert said() == []  # A model that is not built logs nothing.
    with theirs, Built(kind, ours, data, **hparams) as ours:
        assert sorted(said()) == sorted(parts)
        for built in (theirs, ours):
            built.randomize(0)
        assert_same(theirs, ours)


def test_an_own_loop_is_used_and_an_own_loss_is_accelerated():
    kind = Kind(None, melody, [5])
    for make, looped in ((OwnLoop, True), (OwnLoss, False)):
        model = accelerated.accelerated(MusicVAE(encoder(), make()))
        OwnLoop.calls = 0
        with Built(kind, model, make_batch(kind, 4)):
            assert OwnLoop.calls == looped
            assert isinstance(model.decoder, TeacherForcedDecoder) != looped


class OwnSample(lstm_models.CategoricalLstmDecoder):
    """A user's decoder that does not draw samples, but gives 7s."""

    def sample(self, n, max_length=None, z=None, c_input=None, temperature=1.0, **kwargs):
        samples, results = super().sample(n, max_length, z, c_input, temperature, **kwargs)
        return tf.ones_like(samples) * 7, results


@pytest.mark.parametrize(
    "make, depth",
    [
        (OwnSample, 5),
        (lambda: hierarchical(OwnSample(), 3, 4), 5),
        (
            lambda: hierarchical(
                lstm_models.SplitMultiOutLstmDecoder([OwnSample(), OwnLoop()], [2, 3]), 3, 4
            ),
            5,
        ),
    ],
    ids=["flat", "segments", "split"],
)
def test_an_own_way_to_sample_is_used(make, depth):
    kind = Kind(None, make, [depth])
    decoder = accelerated.accelerated(MusicVAE(encoder(), make())).decoder
    with tf.Graph().as_default():
        decoder.build(make_hparams(kind, 4), depth, is_training=False)
        samples, _ = decoder.sample(4, 12, tf.zeros([4, make_hparams(kind, 4).z_size]))
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            samples = session.run(samples)
    assert samples.shape == (4, 12, depth)
    assert (samples[..., :2] == 7).all()


class OwnModel(MusicVAE):
    """A user's model with another loss."""

    def _compute_model_loss(self, *args):
        metrics, scalars = super()._compute_model_loss(*args)
        self.loss *= 0.0
        return metrics, scalars


def test_a_model_keeps_its_class():
    kind = Kind(None, melody, [5])
    x, lengths, _, _ = map(tf.constant, (*make_batch(kind, 4)[:3], 0))
    model = accelerated.accelerated(OwnModel(encoder(), melody()))
    model.build(make_hparams(kind, 4), 5, is_training=True)
    model.train(x, x, lengths)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run(model.loss) == 0
