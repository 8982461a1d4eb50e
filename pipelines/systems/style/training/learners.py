"""How each model of transfer learns from a batch: its networks, its optimisers, a step.

Batches come as `scaled` has them, and the networks know nothing else.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import keras
import tensorflow as tf

from configs.style import Hparams
from models import cyclegan, melgan_vc, spectral_transfer
from models.spectral_transfer import mean_absolute_error
from pipelines.systems.style.transfer import transfers

# Mels from silence to the loudest that sounds of 16 bits have become -1 to 1.
_HIGHEST_DB = 20.0
_HALF = (_HIGHEST_DB - transfers.FLOOR_DB) / 2


def scaled(mels):
    """Mels in dB as networks take them: silence is -1."""
    return (mels - transfers.FLOOR_DB) / _HALF - 1


def in_db(values):
    """The inverse of `scaled`."""
    return (values + 1) * _HALF + transfers.FLOOR_DB


class Learner(NamedTuple):
    """A model in training.

    Attributes:
      networks: by name; `generator` is what transfers.
      optimizers: by name.
      step: takes source, target, shares, as `batches.Batch` has them but scaled, the number of
        steps done, and whether the generator is to learn in this step, or critics alone; changes
        the networks, and returns the losses of those that learnt by name.
    """

    networks: Mapping[str, keras.Model]
    optimizers: Mapping[str, keras.optimizers.Optimizer]
    step: Callable[..., dict[str, tf.Tensor]]


def learner(hparams: Hparams) -> Learner:
    """A model that is not trained; what is drawn is Keras's, so it is seeded before."""
    return _LEARNERS[hparams.method](hparams)


class Averaged:
    """The exponential moving average of a generator's weights while it learns.

    Keras's optimizers average as well, but not what is no trainable weight: the vectors of spectral
    norms, and the means of batches.

    What critics teach swings around what is sought; the average is nearer to it than any step.
    Source: Yazici et al., "The unusual effectiveness of averaging in GAN training", 2019. It
    follows closely at first, as TensorFlow's `ExponentialMovingAverage` does.

    Args:
      generator: what learns; its weights are where the average begins.
      network: another of the same kind, which gets the average.
      share: of the average that stays at each step.
    """

    def __init__(self, generator: keras.Model, network: keras.Model, share: float):
        self.network = network
        self._share = share
        self._both = [
            (average.value, weight.value)
            for average, weight in zip(network.weights, generator.weights)
        ]
        for average, weight in self._both:
            average.assign(weight)

    def update(self, steps: int) -> None:
        """Brings the average nearer to what was learnt in so many steps."""
        share = min(self._share, (1 + steps) / (10 + steps))
        self._update(tf.constant(share, tf.float32))

    @tf.function
    def _update(self, share):
        for average, weight in self._both:
            average.assign(share * average + (1 - share) * weight)


def untrained_generator(hparams: Hparams) -> keras.Model:
    """The generator of a model, for weights that are read."""
    return spectral_transfer.generator(
        transfers.BANDS,
        hparams.width,
        spectral_norm=hparams.method == "melganvc",
        batch_norm=bool(hparams.batch_norm),
        residual=bool(hparams.residual),
    )


def _adam(hparams: Hparams, *networks: keras.Model) -> keras.optimizers.Adam:
    optimizer = keras.optimizers.Adam(hparams.learning_rate, beta_1=hparams.beta)
    optimizer.build(_trainable(*networks))
    return optimizer


def _trainable(*networks: keras.Model) -> list:
    return [weight for network in networks for weight in network.trainable_variables]


def _descend(tape: tf.GradientTape, loss: tf.Tensor, optimizer, *networks: keras.Model) -> None:
    variables = _trainable(*networks)
    optimizer.apply(tape.gradient(loss, variables), variables)


class LossWeights(Protocol):
    """Those hyperparameters that weigh the losses of MelGAN-VC's generator."""

    @property
    def adversarial(self) -> float:
        """Of what the critic says."""

    @property
    def travel(self) -> float:
        """Of the vectors between pieces, and of the margin."""

    @property
    def margin(self) -> float:
        """The distance of pieces that is enough; no weight."""

    @property
    def identity(self) -> float:
        """Of what becomes of the target."""


def generator_losses(
    weights: LossWeights, siamese: keras.Model, pieces, made, judged, identity
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The losses of MelGAN-VC's generator and siamese network.

    Args:
      weights: of the losses.
      siamese: gives vectors to pieces.
      pieces, made: of the source and of what is made of it, as `melgan_vc.split` cuts them.
      judged: the critic's values of what is made.
      identity: how far what becomes of the target is from it.

    Returns:
      What is to descend, and the losses by name.
    """
    first, _, last = tf.split(siamese(pieces, training=True), melgan_vc.PIECES)
    made_first, _, made_last = tf.split(siamese(made, training=True), melgan_vc.PIECES)
    losses = {
        "adversarial": melgan_vc.generator_hinge_loss(judged),
        "travel": melgan_vc.travel_loss(first, last, made_first, made_last),
        "margin": melgan_vc.margin_loss(first, last, weights.margin),
        "identity": identity,
    }
    whole = (
        weights.adversarial * losses["adversarial"]
        + weights.travel * (losses["travel"] + losses["margin"])
        + weights.identity * identity
    )
    return whole, losses


def _paired(hparams: Hparams) -> Learner:
    """The generator learns the target of each piece, by the mean absolute difference."""
    generator = untrained_generator(hparams)
    optimizer = _adam(hparams, generator)

    def step(source, target, shares, done, turn):
        del shares, done, turn
        with tf.GradientTape() as tape:
            loss = mean_absolute_error(generator(source, training=True), target)
        _descend(tape, loss, optimizer, generator)
        return {"loss": loss}

    return Learner({"generator": generator}, {"generator": optimizer}, step)


def _melganvc(hparams: Hparams) -> Learner:
    generator = untrained_generator(hparams)
    critic = spectral_transfer.critic(transfers.BANDS, hparams.critic_width)
    siamese = melgan_vc.siamese(
        transfers.BANDS,
        hparams.piece,
        hparams.width,
        hparams.vector,
        batch_norm=bool(hparams.batch_norm),
    )
    optimizers = {
        "generator": _adam(hparams, generator, siamese),
        "critic": _adam(hparams, critic),
    }

    def learn_critic(source, target):
        made = melgan_vc.join(generator(melgan_vc.split(source), training=True))
        with tf.GradientTape() as tape:
            real, false = critic(target, training=True), critic(made, training=True)
            loss = melgan_vc.critic_hinge_loss(real, false)
        _descend(tape, loss, optimizers["critic"], critic)
        return loss

    def learn_generator(source, target):
        pieces, wanted = melgan_vc.split(source), melgan_vc.split(target)
        with tf.GradientTape() as tape:
            made = generator(pieces, training=True)
            judged = critic(melgan_vc.join(made))
            identity = mean_absolute_error(generator(wanted, training=True), wanted)
            loss, losses = generator_losses(hparams, siamese, pieces, made, judged, identity)
        _descend(tape, loss, optimizers["generator"], generator, siamese)
        return losses

    def step(source, target, shares, done, turn):
        del shares, done
        losses = {"critic": learn_critic(source, target)}
        return {**losses, **learn_generator(source, target)} if turn else losses

    networks = {"generator": generator, "critic": critic, "siamese": siamese}
    return Learner(networks, optimizers, step)


def _cyclegan(hparams: Hparams) -> Learner:
    there, back = untrained_generator(hparams), untrained_generator(hparams)
    critics = [
        spectral_transfer.critic(transfers.BANDS, hparams.critic_width, False, name)
        for name in ("critic_of_target", "critic_of_source")
    ]
    optimizers = {
        "generators": _adam(hparams, there, back),
        "critics": _adam(hparams, *critics),
    }

    def penalty(critic, real, made, shares):
        points = cyclegan.between(real, made, shares)
        with tf.GradientTape() as tape:
            tape.watch(points)
            # A value for each example: the mean over its frames.
            values = tf.reduce_mean(critic(points), axis=(1, 2))
        return cyclegan.gradient_penalty(tape.gradient(values, points))

    def step(source, target, shares, done, turn):
        del turn  # Its critics and generators learn of each batch.
        target_made, source_made = there(source), back(target)
        with tf.GradientTape() as tape:
            loss = penalties = 0.0
            sides = ((target, target_made), (source, source_made))
            for critic, (real, made) in zip(critics, sides):
                loss += cyclegan.critic_loss(critic(real), critic(made))
                penalties += penalty(critic, real, made, shares)
            whole = loss + hparams.penalty * penalties
        _descend(tape, whole, optimizers["critics"], *critics)
        with tf.GradientTape() as tape:
            target_made, source_made = there(source, training=True), back(target, training=True)
            adversarial = -tf.reduce_mean(critics[0](target_made))
            adversarial -= tf.reduce_mean(critics[1](source_made))
            cycle = mean_absolute_error(back(target_made, training=True), source)
            cycle += mean_absolute_error(there(source_made, training=True), target)
            identity = mean_absolute_error(there(target, training=True), target)
            identity += mean_absolute_error(back(source, training=True), source)
            total = (
                hparams.adversarial
                * cyclegan.adversarial_weight(done, hparams.warm_up)
                * adversarial
                + hparams.cycle * cycle
                + cyclegan.identity_weight(done, hparams.identity, hparams.identity_steps)
                * identity
            )
        _descend(tape, total, optimizers["generators"], there, back)
        return {
            "critic": loss,
            "penalty": penalties,
            "adversarial": adversarial,
            "cycle": cycle,
            "identity": identity,
        }

    networks = {"generator": there, "back": back, **{each.name: each for each in critics}}
    return Learner(networks, optimizers, step)


_LEARNERS = {
    "paired": _paired,
    "pseudopaired": _paired,
    "melganvc": _melganvc,
    "cyclegan": _cyclegan,
}
