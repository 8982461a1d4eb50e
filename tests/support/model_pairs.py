"""Models of Magenta's classes beside the same in this project's, of all kinds, small ones."""

import collections
import functools
import zlib

import numpy as np

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402
from magenta.models.music_vae import lstm_models  # noqa: E402
from magenta.models.music_vae.base_model import MusicVAE  # noqa: E402

from models import accelerated  # noqa: E402
from models.accelerated import draws  # noqa: E402

Z = 3


class Kind(
    collections.namedtuple(
        "Kind",
        "encoder decoder depths steps controls segments",
        defaults=(12, 0, None),
    )
):
    """A kind of model, in sizes for tests.

    Attributes:
      encoder, decoder: functions that make one.
      depths: the sizes of the one-hot vectors of a step, in order; or the name of other content.
      steps: the steps of a sequence.
      controls: the depth of the controls.
      segments: how many segments have a length of their own, or None.
    """

    def model(self):
        return MusicVAE(self.encoder(), self.decoder())

    @property
    def depth(self) -> int:
        if isinstance(self.depths, str):
            return {"groove": 6, "roll": 4, "hit": 1}[self.depths]
        return sum(self.depths)


def encoder():
    return lstm_models.BidirectionalLstmEncoder()


def hierarchical_encoder(*lengths):
    return lstm_models.HierarchicalLstmEncoder(lstm_models.BidirectionalLstmEncoder, list(lengths))


def hierarchical(core, *lengths, disable_autoregression=True, **kwargs):
    return lstm_models.HierarchicalLstmDecoder(
        core, list(lengths), disable_autoregression=disable_autoregression, **kwargs
    )


def split(*depths):
    cores = [lstm_models.CategoricalLstmDecoder() for _ in depths]
    return lstm_models.SplitMultiOutLstmDecoder(cores, list(depths))


melody = lstm_models.CategoricalLstmDecoder
groove = lstm_models.GrooveLstmDecoder
preprocessing = lstm_models.BidirectionalLstmControlPreprocessingDecoder

# The name is that of a config of the kind, where there is one.
FLAT = {
    "cat-mel_2bar_small": Kind(encoder, melody, [5]),
    "cat-mel_2bar_med_chords": Kind(encoder, melody, [5], controls=3),
    "groovae_4bar": Kind(encoder, groove, "groove"),
    "groovae_2bar_hits_control_tfds": Kind(encoder, groove, "groove", controls=2),
    "flat-trio_16bar": Kind(
        encoder, lambda: lstm_models.MultiOutCategoricalLstmDecoder([4, 3, 5]), [4, 3, 5]
    ),
    "nade-drums_2bar_full": Kind(encoder, lstm_models.MultiLabelRnnNadeDecoder, "roll"),
    "one hit a step": Kind(encoder, lstm_models.BooleanLstmDecoder, "hit"),
    "preprocessed controls": Kind(encoder, lambda: preprocessing(melody()), [5], controls=3),
    "flat split": Kind(encoder, lambda: split(4, 3), [4, 3]),
}
HIERARCHICAL = {
    "hierdec-mel_16bar": Kind(encoder, lambda: hierarchical(melody(), 3, 4), [5]),
    "hierdec-groove_16bar": Kind(encoder, lambda: hierarchical(groove(), 3, 4), "groove"),
    "hierdec-trio_16bar": Kind(encoder, lambda: hierarchical(split(4, 3), 3, 4), [4, 3]),
    "hier-multiperf_vel_1bar_med": Kind(
        lambda: hierarchical_encoder(4, 3), lambda: hierarchical(melody(), 3, 4), [5], segments=3
    ),
    "hier-multiperf_vel_1bar_med_chords": Kind(
        lambda: hierarchical_encoder(4, 3),
        lambda: hierarchical(melody(), 3, 4),
        [5],
        controls=2,
        segments=3,
    ),
    # This has two conductors, one above the other.
    "three levels": Kind(
        lambda: hierarchical_encoder(4, 3, 2),
        lambda: hierarchical(melody(), 2, 3, 4),
        [5],
        steps=24,
        segments=6,
    ),
    # The levels of the encoder have other lengths than those of the decoder.
    "unlike levels": Kind(
        lambda: hierarchical_encoder(6, 2),
        lambda: hierarchical(groove(), 4, 3),
        "groove",
    ),
}
KINDS = FLAT | HIERARCHICAL


def make_hparams(kind, batch, **values):
    hparams = lstm_models.get_default_hparams()
    values = {
        "batch_size": batch,
        "max_seq_len": kind.steps,
        "z_size": Z,
        "enc_rnn_size": [4, 3],
        "dec_rnn_size": [5, 4],
        "control_preprocessing_rnn_size": [3],
        "nade_num_hidden": 3,
        **values,
    }
    for name, value in values.items():
        if name in hparams:
            setattr(hparams, name, value)
        else:
            hparams.add_hparam(name, value)
    return hparams


def make_batch(kind, batch, seed=0):
    """Sequences, lengths, z and controls; the steps after the end of a sequence are not 0."""
    rng = np.random.default_rng(seed)
    shape = [batch, kind.steps]
    if kind.depths == "groove":
        hits = rng.integers(0, 2, [*shape, 2])
        x = np.concatenate([hits, rng.random([*shape, 2]), rng.uniform(-1, 1, [*shape, 2])], 2)
    elif kind.depths in ("roll", "hit"):
        x = rng.integers(0, 2, [*shape, kind.depth])
    else:
        x = np.concatenate([np.eye(n)[rng.integers(0, n, shape)] for n in kind.depths], 2)
    if kind.segments:
        most = kind.steps // kind.segments
        lengths = rng.integers(0, most + 1, [batch, kind.segments])
        lengths[0] = most
        lengths[1, 0] = 0
        lengths[2] = 0
    elif isinstance(kind.decoder(), lstm_models.HierarchicalLstmDecoder):
        lengths = np.full(batch, kind.steps)
        lengths[2] = 0
    elif kind is KINDS["flat split"]:
        # Magenta's decoder takes only full sequences.
        lengths = np.full(batch, kind.steps)
    else:
        lengths = rng.integers(1, kind.steps, batch)
        lengths[:3] = kind.steps, 1, 0
    controls = rng.random([*shape, kind.controls]) if kind.controls else None
    return x.astype("f"), lengths.astype("i"), rng.normal(size=[batch, Z]).astype("f"), controls


class Built:
    """A model in a graph of its own, with all that can be compared.

    Attributes:
      losses: the loss of each sequence.
      metrics: names to (value, update).
      model, session, variables, feeds.
    """

    def __init__(self, kind, model, data, is_training=False, seed=None, **hparams):
        x, lengths, z, controls = data
        self.hparams = make_hparams(kind, len(x), **hparams)
        with tf.Graph().as_default() as self.graph:
            tf.set_random_seed(seed)
            # Magenta's classes see the size of the batch, but not the number of steps.
            arrays = {"x": x, "shifted": np.pad(x[:, :-1], [(0, 0), (1, 0), (0, 0)])}
            arrays |= {} if controls is None else {"controls": controls}
            given = {
                name: tf.placeholder(tf.float32, [len(x), None, array.shape[2]], name)
                for name, array in arrays.items()
            }
            arrays |= {"lengths": lengths, "z": z}
            given["lengths"] = tf.placeholder(tf.int32, lengths.shape)
            given["z"] = tf.placeholder(tf.float32, z.shape)
            self.feeds = {given[name]: array for name, array in arrays.items()}
            self.given = given
            self.model = model
            model.build(self.hparams, kind.depth, is_training)
            controls = given.get("controls")
            self.posterior = model.encode(given["x"], given["lengths"], controls)
            self.losses, self.metrics, self.results = model.decoder.reconstruction_loss(
                given["shifted"], given["x"], given["lengths"], given["z"], controls
            )
            self.variables = {v.op.name: v for v in tf.trainable_variables()}
            # Made before any gradient, so that all graphs have the same ones in the same order.
            self._values = {
                name: tf.placeholder(tf.float32, v.shape) for name, v in self.variables.items()
            }
            self._load = [v.assign(self._values[name]) for name, v in self.variables.items()]
            self.initializers = [
                tf.global_variables_initializer(),
                tf.local_variables_initializer(),
            ]
            self.saver = tf.train.Saver(tf.global_variables())
            self.session = tf.Session()
        self.run(self.initializers)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.session.close()

    @functools.cached_property
    def gradients(self):
        """Gradients of a combination of all that is computed, by all variables and z."""
        with self.graph.as_default():
            weights = np.random.default_rng(1).random(self.losses.shape.as_list())
            total = tf.reduce_sum(self.losses * weights.astype("f"))
            code = self.posterior.mean() * self.posterior.stddev()
            total += tf.reduce_sum(code * self.given["z"])
            by = {**self.variables, "z": self.given["z"]}
            return dict(zip(by, tf.gradients(total, list(by.values()))))

    def run(self, fetches):
        return self.session.run(fetches, self.feeds)

    def randomize(self, seed):
        """Gives every variable values that depend only on its name."""
        values = {}
        for name, value in self._values.items():
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            values[value] = rng.normal(0, 0.5, value.shape.as_list())
        self.session.run(self._load, values)

    def set_global_step(self, step):
        with self.graph.as_default():
            self.session.run(tf.train.get_global_step().assign(step))

    def measure(self):
        """The values of the metrics for the batch, by name."""
        with self.graph.as_default():
            self.session.run(tf.local_variables_initializer())
            self.run([update for _, update in self.metrics.values()])
            return self.session.run({name: value for name, (value, _) in self.metrics.items()})


def pair(kind, data=None, fused=True, layout="loops", **arguments):
    """Magenta's model of a kind, and the accelerated one."""
    data = data or make_batch(kind, 4)
    ours = accelerated.accelerated(kind.model(), fused, layout)
    return Built(kind, kind.model(), data, **arguments), Built(kind, ours, data, **arguments)


def assert_close(found, expected, rtol=1e-5):
    """Asserts that they are equal, relative to the largest value."""
    assert np.shape(found) == np.shape(expected)
    scale = np.max(np.abs(expected), initial=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * scale + 1e-9)


def assert_same(theirs, ours):
    """Asserts that the losses of all sequences, the posterior and all gradients are the same."""
    assert {n: v.shape for n, v in ours.variables.items()} == {
        n: v.shape for n, v in theirs.variables.items()
    }
    names = "losses", "means", "stddevs", "gradients"
    expected, found = (
        dict(zip(names, b.run([b.losses, b.posterior.mean(), b.posterior.stddev(), b.gradients])))
        for b in (theirs, ours)
    )
    # Each loss is compared relative to itself.
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-5)
    assert_close(found["means"], expected["means"])
    assert_close(found["stddevs"], expected["stddevs"])
    for name, gradient in expected["gradients"].items():
        # The projection of a conductor's input projects a 0, so its gradient is 0.
        assert np.any(gradient) or "input_projection" in name, name
        assert_close(found["gradients"][name], gradient, rtol=1e-4)


UNITS = {"alike": {"dec_rnn_size": [4, 4]}, "unlike": {}}
DRAWN = [
    "cat-mel_2bar_small",
    "cat-mel_2bar_med_chords",
    "groovae_4bar",
    "flat-trio_16bar",
    "one hit a step",
    "hierdec-mel_16bar",
    "hierdec-groove_16bar",
    "hierdec-trio_16bar",
]


def pair_fed_with_the_likeliest(name, layout, monkeypatch):
    """`pair`, each step fed with what is likeliest: with noise of 1/2 that is what is drawn."""
    make_certain(monkeypatch)
    monkeypatch.setattr(draws, "noise", lambda shape: tf.fill(shape, 0.5))
    sampling = dict(sampling_schedule="constant", sampling_rate=1.0, is_training=True)
    return pair(KINDS[name], layout=layout, **sampling)


def make_certain(monkeypatch):
    """Makes the decoders take the likeliest outcome instead of drawing."""

    def one_hot(self, rnn_output, temperature=1.0):
        return tf.one_hot(tf.argmax(rnn_output, axis=1), rnn_output.shape[1])

    def each_one_hot(self, rnn_output, temperature=1.0):
        parts = tf.split(rnn_output, self._output_depths, axis=1)
        return tf.concat([one_hot(self, part) for part in parts], axis=1)

    def hits(self, rnn_output, temperature=1.0):
        hits, velocities, offsets = tf.split(rnn_output, 3, axis=1)
        hits = tf.cast(hits > 0, tf.float32)
        return tf.concat([hits, tf.sigmoid(velocities), tf.tanh(offsets)], axis=1)

    def hit(self, rnn_output, temperature=1.0):
        return tf.cast(rnn_output > 0, tf.float32)

    monkeypatch.setattr(lstm_models.CategoricalLstmDecoder, "_sample", one_hot)
    monkeypatch.setattr(lstm_models.MultiOutCategoricalLstmDecoder, "_sample", each_one_hot)
    monkeypatch.setattr(lstm_models.GrooveLstmDecoder, "_sample", hits)
    monkeypatch.setattr(lstm_models.BooleanLstmDecoder, "_sample", hit)
    # MultiLabelRnnNadeDecoder's takes what is most likely, without a temperature.
