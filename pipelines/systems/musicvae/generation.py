"""Generates music from a checkpoint: the work of the job `generate`."""

import concurrent.futures
import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from note_seq.protobuf import music_pb2

from pipelines import representations
from pipelines.media import pieces, windows
from pipelines.music.timing import DEFAULT_QPM
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.musicvae import latent, model
from pipelines.systems.musicvae.run import Run

# From here on, a larger batch takes no less time a piece on a CPU.
_QUICK_BATCH_SIZE = 256
# The most numbers in a tensor that a batch is decoded to: 64 MiB.
_MAX_NUMBERS = 1 << 24

# A function from (start, end) to the latent vectors of these outputs, shaped [end - start, z_size].
# It is called in order.
_Latents = Callable[[int, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Options:
    """How music is generated and written.

    Attributes:
      num_outputs: how many samples, or steps of an interpolation.
      max_batch_size: how many are decoded at once, at most; None takes as many as are fast. The
        music depends on it.
      temperature: the temperature of decoding.
      seed: the seed of what is drawn.
      qpm: tempo of the output in quarters a minute; None takes the first input's, else 120.
      pianoroll: whether to draw piano rolls.
      overwrite: whether to replace other music of the same name.
    """

    num_outputs: int = 5
    max_batch_size: int | None = None
    temperature: float = 0.5
    seed: int = 0
    qpm: float | None = None
    pianoroll: bool = True
    overwrite: bool = False


def generate(
    run: Run,
    mode: str,
    output_dir: str,
    inputs: Sequence[str] = (),
    options: Options = Options(),
) -> list[str]:
    """Writes MIDI files; beside each a piano roll and, for music that is not drums, ABC.

    Args:
      run: from `run.open_run`.
      mode: "sample", "reconstruct" or "interpolate".
      output_dir: the folder of the files; made where it does not exist.
      inputs: paths of MIDI files: none, one or two, as the mode needs.
      options: how to generate and write.

    Returns:
      The paths of the MIDI files.

    Raises:
      UserError: where an input is not a MIDI file or gives no example (the message says why), the
        checkpoint does not fit the config, or a file with other music is in the way.
    """
    config = run.config
    if config.data_converter.control_depth:
        raise UserError(f"{run.name} is conditioned on controls, and generate takes none")
    read = [windows.read_windows(config, run.name, path) for path in inputs]
    qpm = options.qpm or (read[0].qpm if read else DEFAULT_QPM)
    number = len(read[0].inputs) if mode == "reconstruct" else options.num_outputs
    batch_size = _batch_size(number, options.max_batch_size or _quick_batch_size(config))
    loaded = model.load(run, batch_size, options.seed)
    if mode == "sample":
        latents = _drawn(options.seed, config.hparams.z_size)
    elif mode == "reconstruct":
        latents = _encoded(loaded, read[0])
    else:
        latents = _between(loaded, read, inputs, number)
    decoded = _decoded(loaded, config, latents, number, batch_size, options.temperature)
    representation = representations.of(config.data_converter)
    seconds = representation.window_seconds(config.hparams.max_seq_len, qpm)
    sequences: Iterable = (
        pieces.end_at(pieces.at_tempo(sequence, qpm), seconds) for sequence in decoded
    )
    if mode == "reconstruct":
        starts = [start * read[0].qpm / qpm for start in read[0].starts]
        sequences, number = [pieces.join(list(sequences), starts, seconds)], 1

    os.makedirs(output_dir, exist_ok=True)
    # The name says what the music depends on besides the run and the temperature.
    sources = [os.path.splitext(os.path.basename(path))[0] for path in inputs]
    stem = "_".join([run.name, mode, *sources, f"seed{options.seed}"])
    paths = []
    for i, sequence in enumerate(sequences):
        path = os.path.join(output_dir, f"{stem}_{i:03d}-of-{number:03d}.mid")
        pieces.write(sequence, path, options.pianoroll, options.overwrite)
        paths.append(path)
    return paths


def _drawn(seed: int, z_size: int) -> _Latents:
    """Latent vectors drawn from the prior."""
    rng = np.random.default_rng(seed)
    return lambda start, end: rng.standard_normal((end - start, z_size))


def _encoded(loaded, read: windows.Windows) -> _Latents:
    """The means of the posteriors of all windows of a file."""
    means = model.posterior_means(loaded, read)
    return lambda start, end: means[start:end]


def _between(
    loaded, read: Sequence[windows.Windows], paths: Sequence[str], number: int
) -> _Latents:
    """Latent vectors from the first window of one file to the first window of the other."""
    for each, path in zip(read, paths, strict=True):
        if len(each.inputs) > 1:
            say(f"{path}: {len(each.inputs)} windows; the first is taken")
    first, last = (model.posterior_means(loaded, each.first())[0] for each in read)
    fractions = np.linspace(0, 1, number)
    return lambda start, end: np.array(
        [latent.slerp(first, last, fraction) for fraction in fractions[start:end]]
    )


def _quick_batch_size(config) -> int:
    """How many pieces are decoded at once in the least time, and in little memory."""
    numbers = config.hparams.max_seq_len * config.data_converter.output_depth
    return max(1, min(_QUICK_BATCH_SIZE, _MAX_NUMBERS // numbers))


def _batch_size(num_outputs: int, at_most: int) -> int:
    """The size that fills all batches equally, since each costs as much as a full one."""
    return math.ceil(num_outputs / math.ceil(num_outputs / at_most))


def _decoded(
    loaded, config, latents: _Latents, number: int, batch_size: int, temperature: float
) -> Iterator[music_pb2.NoteSequence]:
    """Yields decoded sequences while the next batch is being decoded.

    Two batches at a time are in memory.
    """
    progress = Progress("pieces decoded", number)
    representation = representations.of(config.data_converter)
    batches = [(start, min(start + batch_size, number)) for start in range(0, number, batch_size)]

    def decode(batch):
        return model.decode(loaded, latents(*batch), config.hparams.max_seq_len, temperature)

    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as decoder:
        following = decoder.submit(decode, batches[0])
        for i, (_, end) in enumerate(batches):
            tensors = following.result()
            if i + 1 < len(batches):
                following = decoder.submit(decode, batches[i + 1])
            yield from representation.decode(tensors)
            progress.update(end)
    progress.close()
