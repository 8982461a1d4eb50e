"""Trains on fixed batches with Magenta's music_vae_train. A job has

config: {"name", "file", "hparams"} of a config of this project, and
layout, precision: as `train` takes them; or
model: {"encoder", "decoder"}, from `_model_plan.plan`, of Magenta's classes, and
hparams: all of them.
batches: {"inputs", "outputs", "controls", "lengths": {"path", "shape", "dtype"}}: files of raw
  numbers, batch after batch, shaped [batches, batch_size, ...].
warm_up, steps, seconds: measures `steps` steps after `warm_up`, or as many as `seconds` allow.
trace, traced: a folder, and how many steps TensorFlow's profiler traces into it, after those that
  are measured, where there is a GPU; 0 for none.
train_dir: an empty folder.
"""

import importlib
import time
import types

import figures

# In this order Magenta's datasets have them.
_TENSORS = ("inputs", "outputs", "controls", "lengths")


def measure(job):
    """Does the job and returns what it measured."""
    config, music_vae_train = (_ours if job.get("config") else _magentas)(job)

    import tensorflow.compat.v1 as tf
    from tensorflow import profiler as tensorflow_profiler

    profiler = tensorflow_profiler.experimental
    tf.disable_v2_behavior()
    traced = job["traced"] if tf.config.list_physical_devices("GPU") else 0

    class Clock(tf.train.SessionRunHook):
        """Takes the time and the loss of each step, and ends the run."""

        def __init__(self):
            self.times = []
            self.losses = []
            # How many steps there were when all that are measured were over.
            self.last = None

        def before_run(self, run_context):
            return tf.train.SessionRunArgs(config.model.loss)

        def after_run(self, run_context, run_values):
            self.times.append(time.time())
            self.losses.append(float(run_values.results))
            measured = len(self.times) - job["warm_up"]
            if self.last is None and (
                measured >= job["steps"]
                # Two steps at least, however long they take.
                or (measured >= 2 and self.times[-1] - self.times[-1 - measured] > job["seconds"])
            ):
                self.last = len(self.times)
                if traced:
                    profiler.start(job["trace"])
            if self.last is not None and len(self.times) == self.last + traced:
                if traced:
                    profiler.stop()
                run_context.request_stop()

        def end(self, session):
            graph = session.graph.as_graph_def()
            self.nodes = len(graph.node) + sum(len(f.node_def) for f in graph.library.function)

    def dataset_fn():
        tf.set_random_seed(1)
        return _dataset(tf, job["batches"])

    clock = Clock()
    training = music_vae_train.tf_slim.training
    train = training.train

    def with_clock(train_op, logdir, **kwargs):
        # Without checkpoints: how long they take is the disk's business, and the same for both.
        kwargs.update(save_checkpoint_secs=None, hooks=kwargs["hooks"] + [clock])
        return train(train_op, logdir, **kwargs)

    training.train = with_clock
    begin = time.time()
    music_vae_train.train(
        job["train_dir"],
        config=config._replace(train_examples_path="fixed batches"),
        dataset_fn=dataset_fn,
    )

    warm_up = job["warm_up"]
    return {
        "steps/s": figures.median_rate(clock.times[warm_up - 1 : clock.last]),
        "seconds to the first step": clock.times[0] - job["start"],
        "... from the start of building": clock.times[0] - begin,
        "graph nodes": clock.nodes,
        "peak MiB": figures.memory()[1],
        "loss at the first step": clock.losses[0],
        f"loss at step {warm_up}": clock.losses[warm_up - 1],
    }


def _ours(job):
    """What `train` of this project trains: the config, and Magenta's module."""
    from pipelines.runtime import magenta_compat, tensorflow

    tensorflow.start("WARN")
    from configs import ConfigRef
    from pipelines.runtime import cores, devices

    # One device is measured, but as `train` sets it up.
    used = devices.use("")
    cores.lay_out()
    magentas = magenta_compat.music_vae_train()
    from pipelines.systems.musicvae import layout

    config = ConfigRef(**job["config"]).build()
    config = layout.lay_out(config, job["layout"], used, job["precision"])
    layout.say_chosen(config)
    return config, magentas


def _magentas(job):
    """The same of Magenta's own classes."""
    from magenta.models.music_vae import configs, music_vae_train
    from magenta.models.music_vae.base_model import MusicVAE

    depth = {name: job["batches"][name]["shape"][-1] for name in _TENSORS}
    config = configs.Config(
        model=MusicVAE(_build(job["model"]["encoder"]), _build(job["model"]["decoder"])),
        hparams=configs.HParams(**job["hparams"]),
        # All that training asks of a converter.
        data_converter=types.SimpleNamespace(
            input_depth=depth["inputs"],
            output_depth=depth["outputs"],
            control_depth=depth["controls"],
        ),
    )
    return config, music_vae_train


def _build(plan):
    """The reverse of `_model_plan.plan`."""
    if isinstance(plan, list):
        return [_build(each) for each in plan]
    if not isinstance(plan, dict):
        return plan
    cls = getattr(importlib.import_module(plan["module"]), plan["class"])
    if "arguments" not in plan:
        return cls
    return cls(**{name: _build(value) for name, value in plan["arguments"].items()})


def _dataset(tf, batches):
    """The batches, over and over."""

    def tensor(file):
        count, *shape = file["shape"]
        dtype = tf.as_dtype(file["dtype"])
        size = dtype.size
        for n in shape:
            size *= n
        if not size:
            return tf.data.Dataset.from_tensors(tf.zeros(shape, dtype)).repeat(count)
        records = tf.data.FixedLengthRecordDataset(file["path"], size)
        return records.map(lambda record: tf.reshape(tf.decode_raw(record, dtype), shape))

    dataset = tf.data.Dataset.zip(tuple(tensor(batches[name]) for name in _TENSORS))
    return dataset.repeat().prefetch(2)
