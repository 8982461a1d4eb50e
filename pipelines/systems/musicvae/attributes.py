"""Finds the directions of attributes for a checkpoint: the work of the job `attributes`.

What is measured is the *reconstruction* of a window, not the window: a model loses part of its
music, and an edit can move only what the decoder makes of z. Labels are those of the music.
"""

import collections
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipelines import representations
from pipelines.examples.base import Batch, Counts
from pipelines.examples.note_sequences import NoteSequences
from pipelines.exported import folders
from pipelines.music.timing import first_qpm
from pipelines.representations.contract import Example, Feature
from pipelines.runtime.app import UserError, say
from pipelines.runtime.nearest import PART, did_you_mean
from pipelines.runtime.progress import Progress
from pipelines.systems.musicvae import model, probes
from pipelines.systems.musicvae.directions import Directions, is_label
from pipelines.systems.musicvae.generation import require_unconditioned
from pipelines.systems.musicvae.labels import labels_of
from pipelines.systems.musicvae.run import Run

# A message names no more labels than this.
_NAMED = 12


class Encoded(NamedTuple):
    """The windows of some records in latent space.

    Attributes:
      z: the posterior means, float array shaped [n, z_size].
      values: for each attribute an array shaped [n], as `probes.fit` takes them, measured in the
        reconstructions.
      music: for each measured attribute an array shaped [n], measured in the music itself.
      pieces: the number of the piece of each window, int array shaped [n].
      records: how many records were read.
    """

    z: np.ndarray
    values: dict[str, np.ndarray]
    music: dict[str, np.ndarray]
    pieces: np.ndarray
    records: int


def find(
    run: Run, training: NoteSequences, names: Sequence[str] = (), batch_size: int = 256
) -> Directions:
    """Finds directions from the windows of some records.

    Args:
      run: from `run.open_run`.
      training: the records, those that the run was trained on or others of their kind.
      names: the attributes; by default those that the run's representation measures and of which
        the records have enough.
      batch_size: windows encoded at once.

    Raises:
      UserError: for an attribute that does not exist or that no piece has, and where the records
        give too few windows.
    """
    require_unconditioned(run)
    if not names and not measured(run):
        raise UserError(
            f"{run.name} measures no attribute; give labels, as --attributes=style:jazz"
        )
    require_known(run, names)
    loaded = model.load(run, batch_size, seed=0)
    chosen = list(dict.fromkeys(names)) or list(measured(run))
    encoded = encode(run, loaded, training, chosen, batch_size)
    values = encoded.values if names else _varied(run, encoded)
    fitted = probes.fit(encoded.z, values, encoded.pieces, encoded.music)
    made_of = {
        "examples_path": folders.short_path(training.source),
        "records": encoded.records,
        "windows": len(encoded.z),
        "measured_in": "reconstructions",
    }
    made_for = {**model.made_for(run, loaded), "z_size": run.config.hparams.z_size}
    return Directions(made_for, made_of, fitted)


def _varied(run: Run, encoded: Encoded) -> dict[str, np.ndarray]:
    """The attributes for which directions can be found; says what the others lack."""
    varied = {}
    for name, value in encoded.values.items():
        if lacking := probes.lack(encoded.music.get(name, value), encoded.pieces):
            say(f"{name} is left out: {lacking}")
        elif lacking := probes.lack(value, encoded.pieces):
            say(f"{name} is left out: in what {run.name} makes of the windows, {lacking}")
        else:
            varied[name] = value
    if not varied:
        raise UserError("no attribute is left; give other music, or labels by --attributes")
    return varied


def measured(run: Run) -> dict[str, Feature]:
    """The attributes that are measured in the windows of a run's config, by name."""
    features = representations.of(run.config.data_converter).features()
    return {name: feature for name, feature in features.items() if feature.edges is not None}


def require_known(run: Run, names: Sequence[str]) -> None:
    """Raises UserError for a name that is neither measured nor a label, which has a colon in it."""
    known = measured(run)
    for name in names:
        if name not in known and not all(name.partition(":")):
            there = f"{run.name} measures {', '.join(known) or 'none'}"
            raise UserError(
                f"no attribute is named {name!r}; {there}, and labels are written as in "
                f"style:jazz{did_you_mean(name, known, least=PART)}"
            )


def measure(run: Run, name: str, windows: np.ndarray) -> np.ndarray:
    """The values of a measured attribute in windows shaped [n, steps, depth]; NaN for none."""
    # Whatever measures features has bars of one length.
    steps_per_bar = representations.of(run.config.data_converter).steps_per_bar or 1
    return measured(run)[name].measure(windows, steps_per_bar)


def encode(
    run: Run,
    loaded,
    records: NoteSequences,
    names: Sequence[str],
    batch_size: int,
) -> Encoded:
    """Encodes every window of some records, reconstructs it, and measures its attributes.

    Args:
      run: the run.
      loaded: from `model.load`, for `batch_size`.
      records: the records.
      names: the attributes.
      batch_size: windows encoded at once.

    Raises:
      UserError: where there is no window, or no piece has a label.
    """
    z, pieces = [], []
    values, music = collections.defaultdict(list), collections.defaultdict(list)
    read: list[set[str]] = []
    of_music = [name for name in names if not is_label(name)]
    with Progress("windows encoded") as progress:
        for numbers, batch in _batches(run, records, batch_size, read):
            z.append(model.posterior_means(loaded, batch))
            if of_music:
                outputs = batch.padded(batch.outputs, run.config.data_converter.output_depth)
                played = reconstruct(run, loaded, z[-1])
            for name in of_music:
                music[name].append(measure(run, name, outputs))
                values[name].append(measure(run, name, played))
            for name in filter(is_label, names):
                values[name].append(np.array([name in read[number] for number in numbers]))
            pieces += numbers
            progress.update(len(pieces))
    if not pieces:
        raise UserError(
            f"{records.source}: no window for {run.name} in {len(read)} records; give other music "
            "(./run.sh tensors --dry_run says why records give none)"
        )
    # In the order of their names, as they are in the file.
    joined = {name: np.concatenate(values[name]) for name in names}
    for name in names:
        if is_label(name) and not joined[name].any():
            raise _nobody_has(name, records.source, read)
    of_music_joined = {name: np.concatenate(each) for name, each in music.items()}
    return Encoded(np.concatenate(z), joined, of_music_joined, np.array(pieces), len(read))


def reconstruct(run: Run, loaded, z: np.ndarray) -> np.ndarray:
    """Decodes latent vectors to their likeliest notes, as edits are decoded by default.

    Args:
      run: the run.
      loaded: from `model.load`.
      z: shaped [n, z_size].

    Returns:
      Windows shaped [n, steps, depth].
    """
    return model.decode(loaded, z, run.config.hparams.max_seq_len, model.THRESHOLD_TEMPERATURE)


def _nobody_has(name: str, source: str, read: Sequence[set[str]]) -> UserError:
    """The error for a label that no piece has; it names those that pieces have."""
    kind = name.partition(":")[0]
    counts = collections.Counter(label for each in read for label in each)
    same = [label for label, _ in counts.most_common() if label.startswith(f"{kind}:")]
    there = same or sorted({label.partition(":")[0] + ":..." for label in counts})
    more = ", ..." if len(there) > _NAMED else ""
    return UserError(
        f"{source}: no piece that gives a window is labelled {name}; its labels are "
        f"{', '.join(there[:_NAMED]) or 'none'}{more}{did_you_mean(name, counts)}"
    )


def _batches(
    run: Run, records: NoteSequences, batch_size: int, read: list[set[str]]
) -> Iterator[tuple[list[int], Batch]]:
    """Yields batches of windows with the numbers of their pieces; fills in the labels of these."""

    def windows() -> Iterator[tuple[int, tuple[float, Example]]]:
        by_piece = records.examples_by_piece(run.config, Counts())
        for number, (piece, examples) in enumerate(by_piece):
            read.append(labels_of(piece))
            for example in examples:
                yield number, (first_qpm(piece), example)

    remaining = windows()
    while waiting := list(itertools.islice(remaining, batch_size)):
        numbers, examples = zip(*waiting)
        yield list(numbers), Batch.of(examples)
