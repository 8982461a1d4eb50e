"""Sampling in one loop gives what Magenta's own decoders sample from the same variables."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import base_model, lstm_models

import configs
from models import accelerated
from pipelines.systems.musicvae import model as trained_model

THRESHOLD = trained_model.THRESHOLD_TEMPERATURE

# Dropout is off, since Magenta leaves the conductor's on.
_SMALL = "enc_rnn_size=[6],dec_rnn_size=[8,8],z_size=3,dropout_keep_prob=1.0"

# Decoders and the sizes of their outputs; a groove's are 2 hits, 2 velocities and 2 offsets.
_CORES = {
    "groove": (lstm_models.GrooveLstmDecoder, 6),
    "categorical": (lstm_models.CategoricalLstmDecoder, 5),
    "boolean": (lstm_models.BooleanLstmDecoder, 1),
    "several": (lambda: lstm_models.MultiOutCategoricalLstmDecoder([3, 4]), 7),
    "split": (
        lambda: lstm_models.SplitMultiOutLstmDecoder(
            [lstm_models.CategoricalLstmDecoder(), lstm_models.GrooveLstmDecoder()], [3, 6]
        ),
        9,
    ),
}


class Sampler:
    """A decoder that samples in a graph of its own.

    Args:
      decoder: Magenta's, or one that wraps it.
      depth: the size of an output.
      batch: sequences at once.
      hparams: of the decoder; z is [batch, z_size].
      variables: values by name; drawn where none are given.
      seed: of the graph.
    """

    def __init__(self, decoder, depth, batch, hparams, variables=None, seed=0):
        self._session = tf.Session(graph=tf.Graph())
        hparams.batch_size = batch
        with self._session.graph.as_default():
            tf.set_random_seed(seed)
            tf.train.get_or_create_global_step()  # Sampling schedules need it.
            decoder.build(hparams, depth, is_training=False)
            self._z = tf.placeholder(tf.float32, [batch, hparams.z_size])
            self._steps = tf.placeholder(tf.int32, [])
            self._temperature = tf.placeholder(tf.float32, [])
            self._samples, self.results = decoder.sample(
                batch, max_length=self._steps, z=self._z, temperature=self._temperature
            )
            if variables is None:
                rng = np.random.default_rng(1)
                # The values are so large that the steps of a sequence differ.
                variables = {v.op.name: rng.normal(size=v.shape) for v in tf.trainable_variables()}
                variables["global_step"] = 0
            self.variables = variables
            assert {v.op.name for v in tf.global_variables()} == set(variables)
            for variable in tf.global_variables():
                variable.load(variables[variable.op.name], self._session)

    @property
    def operations(self):
        return len(self._session.graph.get_operations())

    @property
    def kinds(self):
        return {operation.type for operation in self._session.graph.get_operations()}

    def run(self, z, steps, temperature, fetch=None):
        return self._session.run(
            self._samples if fetch is None else fetch,
            {self._z: z, self._steps: steps, self._temperature: temperature},
        )


def small_hparams(max_seq_len):
    hparams = lstm_models.get_default_hparams()
    hparams.max_seq_len = max_seq_len
    return hparams.parse(_SMALL)


def fast(decoder, layout="loops"):
    encoder = lstm_models.BidirectionalLstmEncoder()
    model = base_model.MusicVAE(encoder, decoder)
    return accelerated.accelerated(model, layout=layout).decoder


def hierarchical(core, levels, **kwargs):
    return lstm_models.HierarchicalLstmDecoder(core, levels, disable_autoregression=True, **kwargs)


def z_for(batch, size=3):
    return np.random.default_rng(0).normal(scale=2.0, size=[batch, size])


def assert_likeliest_are_equal(plain, ours, z, steps):
    expected, samples = (model.run(z, steps, THRESHOLD) for model in (plain, ours))
    assert samples.shape == expected.shape == (len(z), steps, expected.shape[2])
    # The sequences must not be constant, or nothing is compared.
    assert (expected[:, 1:] != expected[:, :-1]).any()
    np.testing.assert_allclose(samples, expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "core, levels, batch",
    [
        *((core, [3, 4], 5) for core in _CORES),
        ("groove", [12], 5),
        ("categorical", [12], 1),
        ("several", [12], 5),
        ("split", [12], 5),
        ("groove", [2, 3, 2], 1),
        ("categorical", [2, 3, 2], 5),
    ],
)
def test_the_likeliest_are_magentas(core, levels, batch):
    make, depth = _CORES[core]
    hparams = small_hparams(12)
    plain, ours = (make() if len(levels) == 1 else hierarchical(make(), levels) for _ in range(2))
    plain = Sampler(plain, depth, batch, hparams)
    ours = Sampler(fast(ours), depth, batch, hparams, plain.variables)
    assert_likeliest_are_equal(plain, ours, z_for(batch), 12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "core, levels",
    [("groove", [3, 4]), ("several", [12]), ("split", [3, 4]), ("categorical", [2, 3, 2])],
)
def test_in_a_compiled_loop_the_likeliest_are_magentas(core, levels):
    make, depth = _CORES[core]
    hparams = small_hparams(12)
    plain, ours = (make() if len(levels) == 1 else hierarchical(make(), levels) for _ in range(2))
    plain = Sampler(plain, depth, 5, hparams)
    ours = Sampler(fast(ours, "xla"), depth, 5, hparams, plain.variables)
    assert "TensorArrayV3" not in ours.kinds
    assert "StatefulPartitionedCall" in ours.kinds or "PartitionedCall" in ours.kinds
    assert_likeliest_are_equal(plain, ours, z_for(5), 12)
    # The same graph takes sequences of another length, where it is not hierarchical.
    if len(levels) == 1:
        assert_likeliest_are_equal(plain, ours, z_for(5), 7)


def test_one_layer_is_a_list_of_layers_too():
    """TensorFlow 1's cond would unpack a list of one."""
    hparams = small_hparams(12)
    hparams.dec_rnn_size = hparams.dec_rnn_size[:1]
    plain, ours = (hierarchical(_CORES["groove"][0](), [3, 4]) for _ in range(2))
    plain = Sampler(plain, 6, 5, hparams)
    ours = Sampler(fast(ours), 6, 5, hparams, plain.variables)
    assert_likeliest_are_equal(plain, ours, z_for(5), 12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, steps",
    [
        ("flat-groove_4bar", 64),
        ("flat-reel_2bar", 32),
        ("nade-drums_2bar_full", 32),
        ("hierdec-groove_16bar", 256),
        ("hierdec-reel_16bar", 256),
        ("hierdec-trio_16bar", 256),
    ],
)
def test_the_likeliest_of_a_config_are_magentas(name, steps):
    config = configs.builders()[name]()
    hparams, depth = config.hparams.parse(_SMALL), config.data_converter.output_depth
    plain = Sampler(config.model.decoder, depth, 5, hparams)
    ours = Sampler(configs.get(name).model.decoder, depth, 5, hparams, plain.variables)
    assert_likeliest_are_equal(plain, ours, z_for(5), steps)


@pytest.mark.parametrize("levels", [[12], [3, 4]])
def test_each_step_is_fed_with_the_sample_before_it_across_segments_too(levels):
    make, depth = _CORES["groove"]
    decoder = make() if len(levels) == 1 else hierarchical(make(), levels)
    sampler = Sampler(fast(decoder), depth, 5, small_hparams(12))
    samples, results = sampler.run(z_for(5), 12, 1.0, [sampler.results.samples, sampler.results])
    np.testing.assert_array_equal(results.rnn_input[:, 0], np.zeros([5, depth]))
    np.testing.assert_array_equal(results.rnn_input[:, 1:], samples[:, :-1])
    np.testing.assert_array_equal(results.final_sequence_lengths, [12] * 5)
    # What is not drawn, velocities and offsets, is the network's output activated.
    _, velocities, offsets = np.split(results.rnn_output, 3, axis=2)
    np.testing.assert_allclose(samples[..., 2:4], 1 / (1 + np.exp(-velocities)), rtol=1e-4)
    np.testing.assert_allclose(samples[..., 4:], np.tanh(offsets), rtol=1e-4, atol=1e-6)


def test_the_results_are_magentas_too():
    make, depth = _CORES["categorical"]
    hparams = small_hparams(12)
    plain = Sampler(make(), depth, 5, hparams)
    ours = Sampler(fast(make()), depth, 5, hparams, plain.variables)
    expected, results = (m.run(z_for(5), 12, THRESHOLD, m.results) for m in (plain, ours))
    tf.nest.assert_same_structure(expected, results)
    for one, other in zip(tf.nest.flatten(expected), tf.nest.flatten(results)):
        np.testing.assert_allclose(other, one, atol=1e-4)


def biased(core, levels, bias, batch, layout="loops", **kwargs):
    """A sampler whose outputs are the same at every step: the bias of the output layer."""
    make, depth = _CORES[core]
    decoder = make() if len(levels) == 1 else hierarchical(make(), levels)
    hparams = small_hparams(int(np.prod(levels)))
    names = Sampler(fast(decoder), depth, batch, hparams).variables
    variables = {name: np.zeros_like(value) for name, value in names.items()}
    [name] = [name for name in variables if name.endswith("output_projection/bias")]
    variables[name] = np.array(bias)
    decoder = make() if len(levels) == 1 else hierarchical(make(), levels)
    return Sampler(fast(decoder, layout), depth, batch, hparams, variables, **kwargs)


@pytest.mark.slow
@pytest.mark.parametrize("levels", [[8], [2, 4]])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_have_their_probabilities_and_are_independent(levels, temperature):
    """Odds of 1:2:3:4:5, raised to 1 / temperature, at every step of 1,000 sequences."""
    odds = np.arange(1, 6.0)
    sampler = biased("categorical", levels, np.log(odds), 1000)
    samples = sampler.run(np.zeros([1000, 3]), 8, temperature)
    np.testing.assert_array_equal(samples.sum(axis=2), 1)
    expected = odds ** (1 / temperature) / (odds ** (1 / temperature)).sum()
    # Five standard deviations.
    bound = 5 * np.sqrt(expected * (1 - expected) / 1000)
    assert (abs(samples.mean(axis=0) - expected) < bound).all()
    # Two steps, or the same step of two sequences, agree as often as independent draws do.
    agree = (expected**2).sum()
    bound = 5 * np.sqrt(agree * (1 - agree) / 1000)
    for lag in range(1, 8):
        assert abs((samples[:, 0] * samples[:, lag]).sum(axis=1).mean() - agree) < bound
    assert abs((samples[1:, 0] * samples[:-1, 0]).sum(axis=1).mean() - agree) < bound


def test_hits_are_drawn_by_their_odds():
    """Odds of 3 to 1; at temperature 2 they are the square root of it."""
    sampler = biased("groove", [2, 4], [np.log(3.0), -np.log(3.0), 0, 0, 0, 0], 1000)
    hits = sampler.run(np.zeros([1000, 3]), 8, 2.0)[..., :2]
    probability = 3**0.5 / (1 + 3**0.5)
    np.testing.assert_allclose(hits.mean(axis=(0, 1)), [probability, 1 - probability], atol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["loops", "xla"])
@pytest.mark.parametrize("levels", [[8], [2, 4]])
def test_a_seed_gives_the_same_samples(levels, layout):
    def draw(seed):
        return biased("categorical", levels, np.zeros(5), 20, layout, seed=seed).run(
            np.zeros([20, 3]), 8, 1.0
        )

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()


def test_the_graph_does_not_grow_with_the_segments():
    make, depth = _CORES["categorical"]
    few, many = (
        Sampler(fast(hierarchical(make(), levels)), depth, 2, small_hparams(int(np.prod(levels))))
        for levels in ([2, 4], [32, 4])
    )
    assert few.operations == many.operations


_END = {"end_fn": lambda x: False}
_CONTROLS = {"c_input": np.zeros([8, 2], np.float32)}


@pytest.mark.parametrize(
    "make, changes, kwargs",
    [
        (_CORES["groove"][0], "", _END),
        (_CORES["groove"][0], "", {"max_length": None, **_END}),
        (_CORES["groove"][0], "", {"max_length": None}),
        (_CORES["groove"][0], "", _CONTROLS),
        (_CORES["groove"][0], "residual_decoder=True", {}),
        (lambda: hierarchical(_CORES["groove"][0](), [2, 4]), "", _END),
        (lambda: hierarchical(_CORES["groove"][0](), [2, 4]), "", _CONTROLS),
        (lambda: hierarchical(_CORES["groove"][0](), [2, 4]), "residual_decoder=True", {}),
        (lambda: lstm_models.HierarchicalLstmDecoder(_CORES["groove"][0](), [2, 4]), "", {}),
    ],
)
def test_what_has_no_counterpart_is_sampled_by_magenta(make, changes, kwargs, monkeypatch):
    calls = []
    decoder = make()
    monkeypatch.setattr(
        type(decoder), "sample", lambda self, *args, **given: calls.append((args, given))
    )
    with tf.Graph().as_default():
        ours = fast(decoder)
        ours.build(small_hparams(8).parse(changes), 6, is_training=False)
        ours.sample(2, **{"max_length": 8, "z": tf.zeros([2, 3]), "temperature": 0.7, **kwargs})
    [(args, given)] = calls
    assert given.pop("temperature", None) == 0.7 or 0.7 in args
    for value in kwargs.values():
        assert any(value is each for each in (*args, *given.values()))


@pytest.mark.parametrize("levels", [[8], [2, 4]])
def test_z_of_other_sequences_is_refused(levels):
    make, depth = _CORES["groove"]
    decoder = fast(make() if len(levels) == 1 else hierarchical(make(), levels))
    with tf.Graph().as_default():
        decoder.build(small_hparams(8), depth, is_training=False)
        with pytest.raises(ValueError, match="z has 3 rows for 2 sequences"):
            decoder.sample(2, max_length=8, z=tf.zeros([3, 3]))


def test_a_hierarchy_samples_its_own_length_alone():
    make, depth = _CORES["groove"]
    sampler = Sampler(fast(hierarchical(make(), [2, 4])), depth, 2, small_hparams(8))
    assert sampler.run(z_for(2), 8, 1.0).shape == (2, 8, depth)
    with pytest.raises(tf.errors.InvalidArgumentError, match="max_seq_len"):
        sampler.run(z_for(2), 7, 1.0)
