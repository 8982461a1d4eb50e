"""Losses of a checkpoint with the Magenta of this Python, which may be as old as 3.8.

    python stock_program.py MODEL CHECKPOINT BATCH.npz RESULT.npz [write]

"write" first makes the checkpoint, of random numbers.
"""

import sys

import numpy as np
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import lstm_models
from magenta.models.music_vae.base_model import MusicVAE

SEGMENTS, STEPS, Z_SIZE = 3, 4, 6


def _hierarchical(core):
    return lstm_models.HierarchicalLstmDecoder(
        core, level_lengths=[SEGMENTS, STEPS], disable_autoregression=True
    )


# Each decoder and the depths of its outputs side by side; None for grooves, of 2 drums.
MODELS = {
    "flat categorical": (lstm_models.CategoricalLstmDecoder, [7]),
    "flat groove": (lstm_models.GrooveLstmDecoder, None),
    "categorical": (lambda: _hierarchical(lstm_models.CategoricalLstmDecoder()), [7]),
    "groove": (lambda: _hierarchical(lstm_models.GrooveLstmDecoder()), None),
    "multi-output": (
        lambda: _hierarchical(lstm_models.MultiOutCategoricalLstmDecoder([4, 5, 3])),
        [4, 5, 3],
    ),
    "split": (
        lambda: _hierarchical(
            lstm_models.SplitMultiOutLstmDecoder(
                [lstm_models.CategoricalLstmDecoder() for _ in range(3)], [4, 5, 3]
            )
        ),
        [4, 5, 3],
    ),
}


def make(name):
    """A model of Magenta's classes that is not built yet."""
    return MusicVAE(lstm_models.BidirectionalLstmEncoder(), MODELS[name][0]())


def batch(name, size):
    """Random sequences and z: arrays by name."""
    rng = np.random.RandomState(1)
    depths = MODELS[name][1]
    shape = size, SEGMENTS * STEPS
    if depths:
        parts = [np.eye(depth)[rng.randint(depth, size=shape)] for depth in depths]
        x = np.concatenate(parts, axis=2)
    else:
        hits = rng.randint(2, size=shape + (2,))
        x = np.concatenate(
            [hits, rng.uniform(size=hits.shape), rng.uniform(-1, 1, hits.shape)], axis=2
        )
    return {"x": x.astype(np.float32), "z": rng.normal(size=[size, Z_SIZE]).astype(np.float32)}


def losses(model, arrays, checkpoint, write=False):
    """Builds a model for evaluation, and restores or makes a checkpoint.

    Returns:
      The reconstruction loss of each sequence at the given z, shaped [batch], and the means that
      the encoder gives the sequences, shaped [batch, z_size].
    """
    x, z = arrays["x"], arrays["z"]
    hparams = lstm_models.get_default_hparams()
    hparams.override_from_dict(
        {
            "batch_size": len(x),
            "max_seq_len": x.shape[1],
            "z_size": Z_SIZE,
            "enc_rnn_size": [5],
            "dec_rnn_size": [4, 5],
            "sampling_schedule": "constant",
            "sampling_rate": 0.0,
        }
    )
    with tf.Graph().as_default():
        model.build(hparams, x.shape[2], is_training=False)
        lengths = tf.fill([len(x)], x.shape[1])
        shifted = np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], axis=1)
        encoded = model.encode(tf.constant(x), lengths).mean()
        loss = model.decoder.reconstruction_loss(
            tf.constant(shifted), tf.constant(x), lengths, tf.constant(z)
        )[0]
        saver = tf.train.Saver()
        with tf.Session() as session:
            if write:
                rng = np.random.RandomState(2)
                for variable in sorted(tf.global_variables(), key=lambda v: v.name):
                    shape = variable.shape.as_list()
                    variable.load(rng.normal(0, 0.3, shape).astype(variable.dtype.as_numpy_dtype))
                saver.save(session, checkpoint)
            saver.restore(session, checkpoint)
            return session.run([loss, encoded])


def main(name, checkpoint, arrays, result, write=""):
    """Runs the program that the module's docstring describes."""
    tf.disable_v2_behavior()
    with np.load(arrays) as arrays:
        loss, encoded = losses(make(name), arrays, checkpoint, bool(write))
    np.savez(result, loss=loss, encoded=encoded)


if __name__ == "__main__":
    main(*sys.argv[1:])
