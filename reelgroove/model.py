"""A trained model in this process: what it samples, reconstructs, interpolates and edits."""

import math
import os
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pipelines.music.note_sequence import NoteSequence
from pipelines.music.timing import DEFAULT_QPM
from pipelines.runtime.app import UserError
from reelgroove.music import Path, piece_of, quiet

if TYPE_CHECKING:
    from pipelines.media.windows import Windows
    from pipelines.systems.musicvae.run import Run

# The least and the most that `./run.sh generate` takes for its flags.
_LEAST_TEMPERATURE = 1e-6
_BOUNDS = {
    "number": (1, math.inf),
    "seed": (0, math.inf),
    "temperature": (_LEAST_TEMPERATURE, math.inf),
    "qpm": (4, 1000),
    "batch_size": (1, math.inf),
}


class Model:
    """A checkpoint that makes music; `load` gives it.

    The graph is built once. The same call gives the same notes, however often it is made.

    Attributes:
      name: the config's name.
      checkpoint: the checkpoint's prefix.
      step: the training step of the checkpoint, or None where its name does not say.
      hparams: the hparams, by name.
    """

    def __init__(self, run: "Run", batch_size: int):
        from pipelines.systems.musicvae import generation

        generation.require_unconditioned(run)
        self.name, self.checkpoint, self.step = run.name, run.checkpoint, run.step
        self.hparams = dict(run.config.hparams.values())
        self._config, self._run = run.config, run
        self._player = generation.Player(run, batch_size, seed=0)

    def __repr__(self) -> str:
        return f"<Model {self.name}, step {self.step}, {self.checkpoint}>"

    def sample(
        self,
        number: int = 4,
        seed: int | None = None,
        temperature: float = 0.5,
        qpm: float = DEFAULT_QPM,
        skip_empty: bool = False,
        prior: str | None = None,
    ) -> list[NoteSequence]:
        """Makes new pieces, from latent vectors drawn at random.

        Args:
          number: how many.
          seed: the seed of the latent vectors; by default another one each time.
          temperature: the randomness of the decoding.
          qpm: the tempo, in quarters a minute.
          skip_empty: whether pieces without a note are passed over, and others drawn.
          prior: what the latent vectors are drawn from: "standard", a standard normal, or
            "aggregated", what `./run.sh prior` fitted; by default the latter where it was made.

        Raises:
          Error: for a number, seed, temperature or tempo out of range, or a prior that was not
            made.
        """
        if prior not in (None, "standard", "aggregated"):
            raise UserError(f"prior={prior!r}: must be 'standard' or 'aggregated'")
        _require_in_bounds(number=number, seed=seed, temperature=temperature, qpm=qpm)
        seed = secrets.randbits(31) if seed is None else seed
        self._player.restart()
        return list(self._player.sample(number, seed, temperature, qpm, skip_empty, prior))

    def reconstruct(
        self, piece: NoteSequence | Path, temperature: float = 0.5, qpm: float | None = None
    ) -> NoteSequence:
        """Encodes every window of a piece, decodes it, and joins what comes out.

        Args:
          piece: a NoteSequence, or a path.
          temperature: the randomness of the decoding.
          qpm: the tempo, in quarters a minute; the piece's by default.

        Raises:
          Error: for a piece that the config does not take, or a number out of range; the message
            says why.
        """
        _require_in_bounds(temperature=temperature, qpm=qpm)
        self._player.restart()
        return self._player.reconstruct(self._windows(piece), temperature, qpm)

    def interpolate(
        self,
        first: NoteSequence | Path,
        last: NoteSequence | Path,
        number: int = 5,
        temperature: float = 0.5,
        qpm: float | None = None,
    ) -> list[NoteSequence]:
        """Makes pieces on the way from the first window of one piece to that of another.

        Args:
          first, last: NoteSequences, or paths.
          number: how many pieces, with both ends.
          temperature: the randomness of the decoding.
          qpm: the tempo, in quarters a minute; that of the first piece by default.

        Raises:
          Error: for a piece that the config does not take, or a number out of range; the message
            says why.
        """
        _require_in_bounds(number=number, temperature=temperature, qpm=qpm)
        begin, end = self._windows(first), self._windows(last)
        self._player.restart()
        found = self._player.interpolate(begin, end, number, temperature, qpm or begin.qpm)
        return list(found)

    def edit(
        self,
        piece: NoteSequence | Path,
        amounts: Mapping[str, float],
        direction: str = "probe",
        attributes_file: Path | None = None,
        temperature: float = _LEAST_TEMPERATURE,
        qpm: float | None = None,
    ) -> NoteSequence:
        """Makes a piece anew with more or less of some attributes.

        Args:
          piece: a NoteSequence, or a path.
          amounts: for each attribute how much more of it, in standard deviations, as in
            {"swing": 1.5, "density": -1}.
          direction: which of the directions of an attribute to take: "probe", "means" or
            "projected".
          attributes_file: a file of `./run.sh attributes` that is not beside the checkpoint.
          temperature: the randomness of the decoding; by default the likeliest notes are taken.
          qpm: the tempo, in quarters a minute; the piece's by default.

        Raises:
          Error: where there is no such file or attribute, the file is of another checkpoint, the
            config does not take the piece, or a number is out of range.
        """
        _require_in_bounds(temperature=temperature, qpm=qpm)
        _require_amounts(amounts)
        from pipelines.systems.musicvae import directions

        if direction not in directions.KINDS:
            raise UserError(
                f"direction={direction!r}: must be one of {', '.join(directions.KINDS)}"
            )
        read = self._windows(piece)
        path = _expanded(attributes_file) or self._run.companion(directions.FILE)
        path = path or directions.find([os.path.dirname(self._run.source)])
        found = directions.read(path)
        found.require(amounts, path)
        found.require_checkpoint(path, self._run.source, self._player.weights_sha256())
        shift = found.shift(amounts, direction)
        self._player.restart()
        [edited] = self._player.edit(read, shift[None], temperature, qpm or read.qpm)
        return edited

    def average(
        self,
        pieces: Iterable[NoteSequence | Path],
        temperature: float = 0.5,
        qpm: float | None = None,
    ) -> NoteSequence:
        """Makes a piece between the first windows of several, and as far from the origin as they.

        Args:
          pieces: at least two, each a NoteSequence or a path.
          temperature: the randomness of the decoding.
          qpm: the tempo, in quarters a minute; that of the first piece by default.

        Raises:
          Error: for fewer pieces, one that the config does not take, or a number out of range.
        """
        _require_in_bounds(temperature=temperature, qpm=qpm)
        given = list(pieces)
        if len(given) < 2:
            raise UserError(f"an average is of two or more pieces, not {len(given)}")
        read = [self._windows(piece) for piece in given]
        from pipelines.systems.musicvae import latent

        self._player.restart()
        z = latent.average(self._player.first_means(read))[None]
        [between] = self._player.decode(z, temperature, qpm or read[0].qpm)
        return between

    def grid(
        self,
        corners: Iterable[NoteSequence | Path],
        number: int = 5,
        temperature: float = 0.5,
        qpm: float | None = None,
    ) -> list[list[NoteSequence]]:
        """Makes a square of pieces between the first windows of four.

        Args:
          corners: four pieces, each a NoteSequence or a path: top left, top right, bottom left,
            bottom right.
          number: pieces on each side, with its ends.
          temperature: the randomness of the decoding.
          qpm: the tempo, in quarters a minute; that of the first piece by default.

        Returns:
          The rows from the top, each with its pieces from the left.

        Raises:
          Error: unless there are four pieces that the config takes, or for a number out of range.
        """
        _require_in_bounds(number=number, temperature=temperature, qpm=qpm)
        given = list(corners)
        if len(given) != 4:
            raise UserError(f"a grid has four corners, not {len(given)}")
        read = [self._windows(piece) for piece in given]
        from pipelines.systems.musicvae import latent

        self._player.restart()
        z = latent.grid(self._player.first_means(read), number)
        made = list(self._player.decode(z, temperature, qpm or read[0].qpm))
        return [made[row * number : (row + 1) * number] for row in range(number)]

    def _windows(self, piece: NoteSequence | Path) -> "Windows":
        from pipelines.media import windows

        source = "the piece" if isinstance(piece, NoteSequence) else str(piece)
        return windows.of_piece(self._config, self.name, piece_of(piece), source)


def load(
    run_dir: Path | None = None,
    checkpoint_file: Path | None = None,
    config: str = "",
    config_file: Path | None = None,
    hparams: str = "",
    batch_size: int = 16,
    devices: str = "",
    pretrained: Path | None = None,
) -> Model:
    """Loads a trained model into this process. The first time takes some ten seconds.

    Args:
      run_dir: the folder of a run; its newest checkpoint is taken.
      checkpoint_file: another checkpoint, or one of Magenta's .tar files.
      config, hparams: for a checkpoint without a run.json, such as Magenta's.
      config_file: the Python file with a config of your own; it is executed.
      batch_size: how many pieces are encoded or decoded at once; other sizes give other music.
      devices: "CPU" or "GPU"; by default a GPU where TensorFlow finds one. The first model of a
        process decides for the others.
      pretrained: instead of a run or a checkpoint, the name of a model that comes with the project,
        or the folder of one.

    Raises:
      Error: where there is no checkpoint, or it does not fit its config.
      ImportError: where TensorFlow was imported with Keras 3 before reelgroove was.
    """
    given = [each for each in (run_dir or checkpoint_file, pretrained) if each]
    if len(given) != 1:
        raise UserError("give run_dir or checkpoint_file, or pretrained")
    _require_in_bounds(batch_size=batch_size)
    from pipelines.runtime import tensorflow

    with quiet():
        tensorflow.load()
    # Outside of `quiet`, which would take back the filter of warnings that `start` sets.
    tensorflow.start("WARN")
    with quiet():
        from configs import ConfigRef
        from pipelines.runtime import devices as tensorflow_devices
        from pipelines.systems.musicvae.run import open_run, warn_of_change

    own_file = _expanded(config_file)
    ref = ConfigRef(config, own_file, hparams)
    run = open_run(_expanded(run_dir), _expanded(checkpoint_file), ref, name=_expanded(pretrained))
    warn_of_change(run.metadata, own_file)
    tensorflow_devices.use(devices)
    return Model(run, batch_size)


def _require_in_bounds(**given: float | None) -> None:
    """Raises Error for an argument that `./run.sh generate` would refuse as a flag."""
    for name, value in given.items():
        least, most = _BOUNDS[name]
        if value is not None and not (least <= value <= most and math.isfinite(value)):
            allowed = f"from {least} to {most}" if most < math.inf else f"at least {least}"
            raise UserError(f"{name}={value}: must be a finite number, {allowed}")


def _require_amounts(amounts: Mapping[str, float]) -> None:
    """Raises Error unless there is a finite amount for at least one attribute."""
    if not amounts:
        raise UserError('an edit needs the amounts of attributes, as in {"swing": 1.5}')
    for name, amount in amounts.items():
        if not math.isfinite(amount):
            raise UserError(f"{name}={amount}: the amount of an attribute must be a finite number")


def _expanded(path: Path | None) -> str | None:
    return None if path is None else os.path.expanduser(path)
