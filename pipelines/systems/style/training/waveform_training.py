"""Trains a WaveNet with a critic to change samples: the work of `style train --model=wavenet-gan`.

The losses are those of MelGAN-VC (`models.melgan_vc`), on the mels of what is made, so that no more
of the music is lost than by that: a critic sees an example as a whole, a siamese network three
pieces of it. Both see what is real with the levels that the generator has.
"""

import functools

import keras
import numpy as np
import tensorflow as tf

from configs.wavenet_gan import Hparams
from models import melgan_vc, spectral_transfer, wavenet, wavenet_gan
from models.spectral_transfer import mean_absolute_error
from pipelines import runs
from pipelines.audio import spectrograms
from pipelines.systems.style.sounds import sound_folders
from pipelines.systems.style.training import (
    batches,
    learners,
    learning,
    validation,
    waveform,
)
from pipelines.systems.style.training.batches import Batch, Batches
from pipelines.systems.style.training.learners import Learner
from pipelines.systems.style.training.learning import Limits, State
from pipelines.systems.style.transfer import transfers

_PACKAGES = ("keras", "tensorflow", "numpy", "librosa")
_HIGHEST_DB = 20.0  # About what the mels of a sound of full scale have.


def train(
    name: str,
    hparams: Hparams,
    source: str,
    target: str,
    run_dir: str,
    seed: int = 0,
    limits: Limits | None = None,
) -> None:
    """Trains a model; a run that was stopped goes on from its last checkpoint.

    Args:
      name: of `configs.wavenet_gan.MODELS`.
      hparams: its hyperparameters, changed or not.
      source, target, run_dir, seed, limits: as `mel_training.train` takes them.

    Raises:
      UserError: as `mel_training.train` does.
    """
    with runs.training(run_dir):
        settings = {
            "model": name,
            "hparams": waveform.described(hparams),
            "source": source,
            "target": target,
            "seed": seed,
        }
        before = waveform.read_metadata(run_dir)
        runs.require_same(run_dir, before, settings, hashes=("hparams",))
        if runs.is_trained(run_dir, before):
            return
        length = melgan_vc.PIECES * hparams.piece * transfers.HOP
        found = [
            batches.read(
                folder,
                paths,
                length,
                hparams.minutes,
                f"sounds of the {side}",
                _kept,
                transfers.RATE,
            )
            for folder, paths, side in zip(
                (source, target), sound_folders.unpaired(source, target), ("source", "target")
            )
        ]
        counts = [len(each) for each in found]
        learning.require_same_counts(run_dir, before, counts)
        drawn = Batches(found[0], found[1], False, length, hparams.batch_size, seed)
        examples = validation.read(validation.held_out(source, target))
        metadata = {**settings, "sounds": counts, **runs.provenance(_PACKAGES)}
        runs.write(run_dir, waveform.KIND, {**metadata, "finished": False})
        # NumPy takes seeds of 32 bits.
        keras.utils.set_random_seed(seed % 2**32)
        state = begin(hparams, run_dir)
        if learning.learn(state, hparams, drawn, examples, run_dir, limits or Limits()):
            runs.write(run_dir, waveform.KIND, {**metadata, "finished": True})


def _kept(samples: np.ndarray) -> np.ndarray:
    """What is kept of a sound: its samples, of which files of floats may have some beyond 1."""
    return np.clip(samples, -1, 1)


def begin(hparams: Hparams, run_dir: str) -> State:
    """A model as its last checkpoint has it, or before training.

    Raises:
      UserError: where the checkpoint is damaged.
    """
    learner = make_learner(hparams)
    generator = waveform.untrained_generator(hparams)
    averaged = learners.Averaged(learner.networks["generator"], generator, hparams.average)
    samples = [hparams.batch_size, melgan_vc.PIECES * hparams.piece * transfers.HOP]
    step = tf.function(learner.step, input_signature=[tf.TensorSpec(samples, tf.float32)] * 2)

    def take(batch: Batch, steps: int) -> dict[str, tf.Tensor]:
        losses = step(batch.source, batch.target)
        averaged.update(steps + 1)
        return losses

    transfer = waveform.WaveformTransfer(generator, hparams)
    contents = functools.partial(waveform.contents, generator)
    return State(learner, take, transfer, contents, hparams.learning_rate, run_dir)


def make_learner(hparams: Hparams) -> Learner:
    """A model that is not trained; what is drawn is Keras's, so it is seeded before.

    Its step takes samples of source and target, [batch, samples], and returns losses by name.
    """
    generator = waveform.untrained_generator(hparams)
    critic = spectral_transfer.critic(transfers.BANDS, hparams.critic_width)
    siamese = melgan_vc.siamese(
        transfers.BANDS, hparams.piece, hparams.critic_width, hparams.vector, batch_norm=False
    )
    optimizers = {
        "generator": keras.optimizers.Adam(hparams.learning_rate, beta_1=hparams.beta),
        "critic": keras.optimizers.Adam(hparams.critic_learning_rate, beta_1=hparams.beta),
    }
    variables = {
        "generator": generator.trainable_variables + siamese.trainable_variables,
        "critic": critic.trainable_variables,
    }
    for name, optimizer in optimizers.items():
        optimizer.build(variables[name])

    def descend(name, tape, loss):
        optimizers[name].apply(tape.gradient(loss, variables[name]), variables[name])

    mels = functools.partial(_scaled_mels, hparams)

    def step(source, target):
        given, wanted = (mels(wavenet.requantised(each)) for each in (source, target))
        with tf.GradientTape() as of_generator:
            made = mels(generator(source, training=True))
            with tf.GradientTape() as of_critic:
                real, false = (
                    critic(each, training=True) for each in (wanted, tf.stop_gradient(made))
                )
                critics = melgan_vc.critic_hinge_loss(real, false)
            descend("critic", of_critic, critics)
            identity = mean_absolute_error(mels(generator(target, training=True)), wanted)
            pieces, made_pieces = melgan_vc.split(given), melgan_vc.split(made)
            total, losses = learners.generator_losses(
                hparams, siamese, pieces, made_pieces, critic(made), identity
            )
        descend("generator", of_generator, total)
        return {"critic": critics, **losses}

    networks = {"generator": generator, "critic": critic, "siamese": siamese}
    return Learner(networks, optimizers, step)


def _scaled_mels(hparams: Hparams, samples):
    """The mels of an example, with the floor at -1."""
    filters = spectrograms.mel_filters(transfers.RATE, transfers.BANDS)
    found = wavenet_gan.log_mels(samples, filters, hparams.floor_db)
    # The last frame is centred on the end of the example.
    found = found[:, : melgan_vc.PIECES * hparams.piece]
    return (found - hparams.floor_db) / (_HIGHEST_DB - hparams.floor_db) * 2 - 1
