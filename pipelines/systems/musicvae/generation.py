"""New music from a checkpoint: the work of the job `generate`."""

import concurrent.futures
import math
import os

import numpy as np

from pipelines import runs
from pipelines.media import pieces as music
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.musicvae import latent
from pipelines.systems.musicvae import model as trained_model

# From here on, a larger batch takes no less time a piece on a CPU.
_QUICK_BATCH_SIZE = 256
# In each tensor of what a batch is decoded to: 64 MiB.
_MAX_NUMBERS = 1 << 24


def generate(
    run: runs.Run,
    mode: str,
    output_dir: str,
    *,
    inputs: tuple[str, ...] = (),
    num_outputs: int = 5,
    max_batch_size: int | None = None,
    temperature: float = 0.5,
    seed: int = 0,
    qpm: float | None = None,
    pianoroll: bool = True,
    overwrite: bool = False,
) -> list[str]:
    """Writes MIDI files; beside each a piano roll and, for music that is not drums, ABC.

    Args:
      run: from `runs.open_run`.
      mode: "sample", "reconstruct" or "interpolate".
      output_dir: the folder of the files; made where it does not exist.
      inputs: paths of MIDI files: none, one or two, as the mode needs.
      num_outputs: how many samples or steps.
      max_batch_size: how many are decoded at once, at most; None takes as many as are quick. It
        is a part of what the music depends on.
      temperature: of the decoding.
      seed: of what is drawn.
      qpm: tempo of the output in quarters a minute; None takes the first input's, else 120.
      pianoroll: whether to draw.
      overwrite: whether to replace other music of the same name.

    Returns:
      The paths of the MIDI files.

    Raises:
      UserError: where an input is no MIDI file or gives no example, saying why, the checkpoint
        does not fit the config, or a file with other music is in the way.
    """
    config = run.config
    if config.data_converter.control_depth:
        raise UserError(f"{run.name} is conditioned on controls, which generate has no input for")
    pieces = [music.read_windows(config, run.name, path) for path in inputs]
    qpm = qpm or (pieces[0].qpm if pieces else 120.0)
    if mode == "reconstruct":
        num_outputs = len(pieces[0].inputs)
    batch_size = _batch_size(num_outputs, max_batch_size or _quick_batch_size(config))
    model = trained_model.load(run, batch_size, seed)
    rng = np.random.default_rng(seed)

    if mode == "sample":

        def z(start, end):
            return rng.standard_normal((end - start, config.hparams.z_size))

    elif mode == "reconstruct":
        means = trained_model.posterior_means(model, pieces[0])

        def z(start, end):
            return means[start:end]

    else:
        for piece, path in zip(pieces, inputs):
            if len(piece.inputs) > 1:
                say(f"{path}: {len(piece.inputs)} windows; the first is taken")
        ends = [trained_model.posterior_means(model, piece.first())[0] for piece in pieces]
        fractions = np.linspace(0, 1, num_outputs)

        def z(start, end):
            return np.array([latent.slerp(*ends, fraction) for fraction in fractions[start:end]])

    decoded = _decoded(model, config, z, num_outputs, batch_size, temperature, qpm)
    if mode == "reconstruct":
        starts = [start * pieces[0].qpm / qpm for start in pieces[0].starts]
        decoded = [music.join(list(decoded), starts, music.window_seconds(config, qpm))]
        num_outputs = 1

    os.makedirs(output_dir, exist_ok=True)
    # The name says what the music depends on besides the run and the temperature.
    sources = [os.path.splitext(os.path.basename(path))[0] for path in inputs]
    stem = "_".join([run.name, mode, *sources, f"seed{seed}"])
    paths = []
    for i, sequence in enumerate(decoded):
        path = os.path.join(output_dir, f"{stem}_{i:03d}-of-{num_outputs:03d}.mid")
        music.write(sequence, path, pianoroll, overwrite)
        paths.append(path)
    return paths


def _quick_batch_size(config) -> int:
    """How many pieces are decoded at once in the least time, and in little memory."""
    numbers = config.hparams.max_seq_len * config.data_converter.output_depth
    return max(1, min(_QUICK_BATCH_SIZE, _MAX_NUMBERS // numbers))


def _batch_size(num_outputs: int, at_most: int) -> int:
    """The size of batches that are all equally full: each costs as much as a full one."""
    return math.ceil(num_outputs / math.ceil(num_outputs / at_most))


def _decoded(model, config, z, num_outputs, batch_size, temperature, qpm):
    """Yields decoded sequences at their tempo, while the next batch is being decoded.

    Two batches at a time are in memory.

    Args:
      z: a function from (start, end) to the latent vectors of these outputs, called in order.
    """
    progress = Progress("pieces decoded", num_outputs)
    batches = [
        (start, min(start + batch_size, num_outputs)) for start in range(0, num_outputs, batch_size)
    ]

    def decode(batch):
        return trained_model.decode(model, z(*batch), config.hparams.max_seq_len, temperature)

    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as decoder:
        following = decoder.submit(decode, batches[0])
        for i, (_, end) in enumerate(batches):
            tensors = following.result()
            if i + 1 < len(batches):
                following = decoder.submit(decode, batches[i + 1])
            for sequence in config.data_converter.from_tensors(tensors):
                yield music.at_tempo(sequence, qpm)
            progress.update(end)
    progress.close()
