"""Training a language model of tunes: the work of `train --config=tune_lm-...`."""

import math
import os
import time
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from configs.tune_lm import Hparams
from pipelines import checkpoints, runs
from pipelines.examples import written_tunes
from pipelines.records import leakage
from pipelines.records.manifest import content_digest, open_records
from pipelines.runtime import interruptions
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.tune_lm import model
from pipelines.systems.tune_lm.batches import SPECS, Batch, Examples

_PACKAGES = ("keras", "tensorflow", "numpy")
# AdamW's; its default of 0.999 averages over more steps than an epoch has.
_BETA_2 = 0.98


class Options(NamedTuple):
    """How a model is trained, beside its hyperparameters.

    Attributes:
      num_steps: the step at which the run ends; None is after `num_epochs` passes.
      seed: of all that is drawn.
      save_checkpoint_secs: how much work, in seconds, an interruption may cost.
      highest: as of `written.from_score`.
    """

    num_steps: int | None = None
    seed: int = 0
    save_checkpoint_secs: float = 60.0
    highest: bool = False


def train(
    config: str,
    hparams: Hparams,
    run_dir: str,
    examples_path: str,
    tunebooks: list[str],
    validation_path: str,
    options: Options,
) -> None:
    """Trains a model; a run that was stopped goes on from its last checkpoint, as if it had not.

    Args:
      config: the name of the config.
      hparams: its hyperparameters.
      run_dir: the run's folder.
      examples_path: a pattern of the records of the tunes to train on.
      tunebooks: what the records were made of.
      validation_path: a pattern of the records of the tunes by which the best checkpoint is chosen,
        in the same folder.
      options: see there.

    Raises:
      UserError: for records without enough tunes, tunebooks of other records, a folder with another
        run or in which another job is training, or where the loss is no longer finite.
    """
    with runs.training(run_dir):
        records = open_records(examples_path)
        leakage.require_none(records.paths, records.source)
        metadata = {
            "config": config,
            "hparams": model.as_json(hparams),
            "seed": options.seed,
            "num_steps": options.num_steps,
            "highest": options.highest,
            "records": content_digest(records.paths),
        }
        before = runs.read(run_dir, model.KIND)
        runs.require_same(run_dir, before, metadata)
        if runs.is_trained(run_dir, before):
            return
        training, validation = _read(examples_path, validation_path, tunebooks, options.highest)
        metadata |= {
            "examples_path": examples_path,
            "validation_path": validation_path,
            "splits": sorted({tune.split for tune in training}),
            "validation_splits": sorted({tune.split for tune in validation}),
            "tunes": len(training),
            "validation_tunes": len(validation),
        }
        _require_same_tunes(run_dir, metadata)
        metadata |= runs.provenance(_PACKAGES)
        runs.write(run_dir, model.KIND, {**metadata, "finished": False})
        fit(run_dir, training, validation, hparams, options)
        runs.write(run_dir, model.KIND, {**metadata, "finished": True})


def _require_same_tunes(run_dir: str, metadata: dict[str, Any]) -> None:
    """Raises UserError where a run that goes on was begun with other tunes.

    The records may be the same, and the tunebooks or the split to validate on others.
    """
    before = runs.read(run_dir, model.KIND)
    for name in ("splits", "validation_splits", "tunes", "validation_tunes"):
        if before and before.get(name) != metadata[name]:
            raise UserError(
                f"{run_dir} was begun with other tunes ({name} {before.get(name)}, now "
                f"{metadata[name]}); name the --tunebooks and --validation_path that it was begun "
                "with, or another --run_dir"
            )


def _read(
    examples_path: str, validation_path: str, tunebooks: list[str], highest: bool
) -> tuple[list[written_tunes.Tune], list[written_tunes.Tune]]:
    """The tunes to train on, and those to validate on."""
    folder, splits = written_tunes.splits_of(examples_path)
    other, held_out = written_tunes.splits_of(validation_path)
    if not os.path.samefile(folder, other):
        raise UserError(
            f"--validation_path={validation_path!r} lies in another folder than the records to "
            "train on; versions of one tune are known by the list in their folder, so take both "
            "from there"
        )
    if splits & held_out:
        raise UserError(f"the split {', '.join(splits & held_out)} is to train and to validate on")
    found = written_tunes.read(folder, tunebooks, highest, splits | held_out)
    if found.left_out:
        reasons = ", ".join(f"{count} {reason}" for reason, count in found.left_out.most_common())
        say(f"left out, since the tokens cannot say them: {reasons}")
    chosen = [[each for each in found.tunes if each.split in of] for of in (splits, held_out)]
    for pattern, those in zip((examples_path, validation_path), chosen):
        if not those:
            raise UserError(f"{pattern!r} has no tune of one voice; convert tunebooks with some")
    return chosen[0], chosen[1]


def fit(
    run_dir: str,
    training: list[written_tunes.Tune],
    validation: list[written_tunes.Tune],
    hparams: Hparams,
    options: Options,
) -> None:
    """Trains from the last checkpoint, or from the beginning.

    Args:
      run_dir: the run's folder, for checkpoints and summaries.
      training, validation: the tunes.
      hparams, options: what is trained, and how.

    Raises:
      UserError: where the loss is no longer finite, or the checkpoint is damaged.
    """
    examples = Examples(training, hparams.batch_tokens)
    held_out = Examples(validation, hparams.batch_tokens)
    an_epoch = len(examples.epoch(options.seed, 0))
    total = options.num_steps or an_epoch * hparams.num_epochs
    state = _State(run_dir, hparams, options, total)
    if state.restored:
        say(f"going on after step {state.step} of {total}")
    say(
        f"{model.weights_of(state.network):,} weights; {len(training)} tunes with "
        f"{examples.notes:,} notes, about {an_epoch} batches an epoch; validation on "
        f"{len(validation)} tunes"
    )
    writers = [
        tf.summary.create_file_writer(folder(run_dir))
        for folder in (runs.train_dir, runs.validation_dir)
    ]
    a_note = examples.tokens / examples.notes
    with Progress("steps", total, first=state.step) as progress:
        saved, losses = time.monotonic(), []
        # After the last step, too, a run that was ended before its validation goes on with it.
        while state.step < total or state.in_epoch:
            batches = examples.epoch(options.seed, state.epoch)
            # SIGTERM may not end a run before it has saved.
            with interruptions.held() as signal:
                for number in batches[state.in_epoch : state.in_epoch + total - state.step]:
                    if signal.came:
                        break
                    # After the last step there is a validation first, so that none is passed over.
                    if time.monotonic() - saved > options.save_checkpoint_secs:
                        state.save()
                        saved = time.monotonic()
                    losses.append(state.train(examples.batch(number)) * a_note)
                    progress.update(state.step, f"{losses[-1]:.3f} bits a note")
                # The signal may have come in the last batch, and a validation takes its time.
                if signal.came:
                    state.save()
            state.next_epoch()
            bits = state.validate(held_out)
            # None where the run was ended right before its validation.
            loss = np.mean(losses) if losses else None
            told = f"{loss:.3f} bits a note, " if losses else ""
            say(f"step {state.step}: {told}on the validation tunes {bits:.3f}")
            for writer, value in zip(writers, (loss, bits)):
                if value is not None:
                    with writer.as_default(step=state.step):
                        tf.summary.scalar("bits_per_note", value)
                    writer.flush()
            state.save()
            saved, losses = time.monotonic(), []
    for writer in writers:
        writer.close()


class _State:
    """A network in training, with all that a checkpoint keeps.

    Args:
      run_dir: the run's folder; its last checkpoint is restored, if there is one.
      hparams, options: what is trained, and how.
      total: how many steps there will be.

    Attributes:
      network: the network.
      restored: whether a checkpoint was restored.

    Raises:
      UserError: where the checkpoint is damaged.
    """

    def __init__(self, run_dir: str, hparams: Hparams, options: Options, total: int):
        model.set_seed(options.seed)
        self.network = model.build(hparams)
        self._learning_rate = hparams.learning_rate
        warmup = min(hparams.warmup, total // 10)
        self._optimizer = keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                hparams.learning_rate / (warmup + 1),
                max(total - warmup, 1),
                warmup_target=hparams.learning_rate,
                warmup_steps=warmup,
            ),
            weight_decay=hparams.weight_decay,
            beta_2=_BETA_2,
            global_clipnorm=hparams.clip,
        )
        self._optimizer.build(self.network.trainable_variables)
        self._train = tf.function(self._take_step, input_signature=SPECS)
        self._measure = tf.function(self.network.log_probabilities, input_signature=SPECS[:3])
        self._step, self._epoch, self._in_epoch = (
            tf.Variable(0, trainable=False, dtype=tf.int64) for _ in range(3)
        )
        self._fewest = tf.Variable(math.inf, trainable=False, dtype=tf.float64)
        weights = {id(weight) for weight in self.network.weights}
        state = tf.train.Checkpoint(
            weights=model.values(self.network.weights),
            step=self._step,
            epoch=self._epoch,
            in_epoch=self._in_epoch,
            fewest=self._fewest,
            optimizer=[one.value for one in self._optimizer.variables],
            # What dropout draws next.
            drawing=[one.value for one in self.network.variables if id(one) not in weights],
        )
        self._manager = tf.train.CheckpointManager(state, runs.train_dir(run_dir), 1)
        self._best = tf.train.CheckpointManager(
            model.checkpoint_of(self.network, self._step), runs.best_dir(run_dir), 1
        )
        self.restored = checkpoints.go_on(self._manager)

    @property
    def step(self) -> int:
        """How many steps are done."""
        return int(self._step.numpy())

    @property
    def epoch(self) -> int:
        """How many epochs are over."""
        return int(self._epoch.numpy())

    @property
    def in_epoch(self) -> int:
        """How many steps of this epoch are done."""
        return int(self._in_epoch.numpy())

    def next_epoch(self) -> None:
        """Begins the next epoch."""
        self._epoch.assign_add(1)
        self._in_epoch.assign(0)

    def train(self, batch: Batch) -> float:
        """Takes a step; returns the bits a token.

        Raises:
          UserError: where they are no longer finite.
        """
        loss = float(self._train(*batch[:4]))
        if not math.isfinite(loss):
            raise UserError(
                f"the loss is {loss:g} at step {self.step}; lower learning_rate (now "
                f"{self._learning_rate:g}) by --hparams=learning_rate=..., and train again in "
                "another folder"
            )
        for counter in (self._step, self._in_epoch):
            counter.assign_add(1)
        return loss / math.log(2)

    def validate(self, examples: Examples) -> float:
        """Bits a note on held-out tunes; keeps the model if they are the fewest so far."""
        nats = 0.0
        for batch in examples.in_order():
            logarithms = self._measure(batch.rows, batch.kinds, batch.pitches).numpy()
            nats -= float((logarithms * batch.there).sum(dtype=np.float64))
        bits = nats / math.log(2) / max(examples.notes, 1)
        if bits < float(self._fewest.numpy()):
            self._fewest.assign(bits)
            self._best.save(self.step)
        return bits

    def save(self) -> None:
        """Writes a checkpoint, in place of the one before."""
        self._manager.save(self.step)

    def _take_step(self, rows, kinds, pitches, there) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logarithms = self.network.log_probabilities(rows, kinds, pitches, training=True)
            loss = -tf.reduce_sum(logarithms * there) / tf.reduce_sum(there)
        gradients = tape.gradient(loss, self.network.trainable_variables)
        self._optimizer.apply(gradients, self.network.trainable_variables)
        return loss
