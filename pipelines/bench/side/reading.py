"""Reads training examples through an input pipeline, without a model. A job has

reader: "ours", our training dataset, or "magenta", Magenta's `get_dataset` without its cache.
config: for "ours", {"name", "config_file", "hparams"}; for "magenta", {"name", "batch_size",
  "every_window"}, the name one of Magenta's, and every_window whether it makes all windows of a
  piece, a bar apart, as ours do, and not at most as many as its config says.
mend: only for "magenta": whether it has to be made to run in this project's environment.
examples_path: a glob of NoteSequence records; for "ours" tensors, too.
seconds: how long to read, from the first batch on; at least two batches more are read.
"""

import time

import figures

_STEPS_PER_BAR = 16


def measure(job):
    """Does the job and returns what it measured."""
    dataset_fn, batch_size = _READERS[job["reader"]](job)
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    begin = time.time()
    with tf.Graph().as_default():
        tensors = tf.data.make_one_shot_iterator(dataset_fn()).get_next()
        # As in training, nothing is fetched into Python.
        next_batch = tf.group(*tensors)
        with tf.Session() as session:
            session.run(next_batch)
            times = [time.time()]
            at_first, _ = figures.memory()
            while len(times) < 3 or times[-1] - times[0] < job["seconds"]:
                session.run(next_batch)
                times.append(time.time())
    at_last, peak = figures.memory()
    return {
        "examples/s": figures.median_rate(times) * batch_size,
        "seconds to the first batch": times[0] - begin,
        "examples read": len(times) * batch_size,
        "MiB at the first batch": at_first,
        "MiB at the end": at_last,
        "peak MiB": peak,
    }


def _magenta(job):
    if job["mend"]:
        from pipelines.runtime import magenta_compat

        magenta_compat.apply()
    from magenta.models.music_vae import configs, data

    config = configs.CONFIG_MAP[job["config"]["name"]]
    config.hparams.batch_size = job["config"]["batch_size"]
    if job["config"]["every_window"]:
        # As its constructor would be told; Magenta's configs leave these out.
        config.data_converter._hop_size = _STEPS_PER_BAR
        config.data_converter.max_tensors_per_notesequence = None
    config = configs.update_config(config, {"train_examples_path": job["examples_path"]})

    def dataset_fn():
        return data.get_dataset(config, is_training=True, cache_dataset=False)

    return dataset_fn, config.hparams.batch_size


def _ours(job):
    from pipelines.runtime import tensorflow

    tensorflow.start("WARN")
    from configs import ConfigRef
    from pipelines.examples import reading
    from pipelines.examples.base import Draw

    config = ConfigRef(**job["config"]).build()

    examples = reading.open_examples(job["examples_path"])

    def dataset_fn():
        return examples.training_dataset(config, Draw())

    return dataset_fn, config.hparams.batch_size


_READERS = {"magenta": _magenta, "ours": _ours}
