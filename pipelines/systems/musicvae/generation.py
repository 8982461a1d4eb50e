"""Generates music from a checkpoint: the work of the job `generate`."""

import concurrent.futures
import dataclasses
import itertools
import math
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from note_seq.protobuf import music_pb2

from pipelines import representations, runs
from pipelines.judge import keeping, verdicts
from pipelines.judge import reading as judge_reading
from pipelines.media import describing, pieces, reading, sound, windows
from pipelines.music.timing import DEFAULT_QPM
from pipelines.representations.abc_tokens.written import Tune
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.systems.musicvae import latent, layout, model
from pipelines.systems.musicvae.directions import Directions
from pipelines.systems.musicvae.run import Run

# From here on, a larger batch takes no less time a piece on a CPU.
_QUICK_BATCH_SIZE = 256
# The most numbers in a tensor that a batch is decoded to: 64 MiB.
_MAX_NUMBERS = 1 << 24

# So many pieces without a note in a row, and `skip_empty` gives up.
_MAX_EMPTY = 500

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
      top_p: what is decoded is drawn from the nucleus of this probability (`models.nucleus`).
      prior: what samples are drawn from, as `model.prior_of` takes it.
      seed: the seed of what is drawn.
      qpm: tempo of the output in quarters a minute; None takes the first input's, else 120.
      pianoroll: whether to draw piano rolls.
      overwrite: whether to replace other music of the same name.
      skip_empty: whether samples without a note are passed over, and others drawn in their place.
      keep: the least scores by the judge of tunes, from `judge.keeping.parse`: samples are drawn
        until enough have them; None keeps all.
      describe: whether `pieces.json` says how the pieces were made, and their inputs are kept.
      audio: the ending of the sound files, from `sound.choose`; None writes none.
      instrument, sound_font, synthesizer: how they sound, as `audio.synthesis.render` takes it.
    """

    num_outputs: int = 5
    max_batch_size: int | None = None
    temperature: float = 0.5
    top_p: float = 1.0
    prior: str | None = None
    seed: int = 0
    qpm: float | None = None
    pianoroll: bool = True
    overwrite: bool = False
    skip_empty: bool = False
    keep: Mapping[str, float] | None = None
    describe: bool = False
    audio: str | None = None
    instrument: str | None = None
    sound_font: str | None = None
    synthesizer: str | None = None


@dataclasses.dataclass(frozen=True)
class Edit:
    """How a piece is edited by its attributes.

    Attributes:
      directions: those of the run's checkpoint.
      path: the file that they are from, for messages.
      kind: one of `directions.KINDS`.
      amounts: for each piece of the series the amounts by attribute, in standard deviations.
    """

    directions: Directions
    path: str
    kind: str
    amounts: Sequence[Mapping[str, float]]


def generate(
    run: Run,
    mode: str,
    output_dir: str,
    inputs: Sequence[str] = (),
    options: Options = Options(),
    edit: Edit | None = None,
) -> list[str]:
    """Writes MIDI files; beside each a piano roll, its sound and, but for drums, ABC.

    Args:
      run: from `run.open_run`.
      mode: "sample", "reconstruct", "interpolate", "edit", "average" or "grid".
      output_dir: the folder of the files; made where it does not exist.
      inputs: paths of files that `media.reading` reads, as many as the mode needs.
      options: how to generate and write.
      edit: what "edit" does.

    Returns:
      The paths of the MIDI files.

    Raises:
      UserError: where an input has no music or gives no example (the message says why), the
        checkpoint does not fit the config, or a file with other music is in the way.
    """
    require_unconditioned(run)
    given = [(path, reading.read_piece(path)) for path in inputs]
    read = [windows.of_piece(run.config, run.name, piece, path) for path, piece in given]
    qpm = options.qpm or (read[0].qpm if read else DEFAULT_QPM)
    largest = options.max_batch_size or _quick_batch_size(run.config)
    number = _decodings(mode, read, options, edit)
    player = Player(run, _batch_size(number, largest), options.seed, options.top_p)
    player.say_layout(encodes=bool(read))
    if edit:
        edit.directions.require(edit.amounts[0], edit.path)
        edit.directions.require_checkpoint(edit.path, run.source, player.weights_sha256())
    sequences = _sequences(player, mode, read, qpm, options, edit)
    number = _outputs(mode, options, edit)
    if mode in ("interpolate", "average", "grid"):
        for each, path in zip(read, inputs, strict=True):
            if len(each.inputs) > 1:
                say(f"{path}: {len(each.inputs)} windows; the first is taken")

    os.makedirs(output_dir, exist_ok=True)
    # The name says what the music depends on besides the run and the temperature.
    sources = [os.path.splitext(os.path.basename(path))[0] for path in inputs]
    paths, empty = [], []
    play = sound.writer(options.audio, options.instrument, options.sound_font, options.synthesizer)
    with Progress("pieces written", number) as progress:
        for i, sequence in enumerate(sequences):
            words = [run.name, mode, *sources, *_edit_words(edit, i), f"seed{options.seed}"]
            path = os.path.join(output_dir, f"{'_'.join(words)}_{i:03d}-of-{number:03d}.mid")
            pieces.write(sequence, path, options.pianoroll, options.overwrite)
            if options.overwrite:
                sound.remove(path, kept=options.audio)
            if play:
                play(sequence, path)
            paths.append(path)
            if not sequence.notes:
                empty.append(path)
            progress.update(i + 1)
    if empty:
        more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        fix = "; --skip_empty draws others in their place" if mode == "sample" else ""
        say(f"warning: {empty[0]}{more}: no note in it{fix}")
    if options.describe:
        settings = {
            **_model_settings(run),
            **({"direction": edit.kind} if edit else {}),
            "seed": options.seed,
            "temperature": options.temperature,
            "qpm": round(qpm, 3),
        }
        amounts = edit.amounts if edit else ()
        describing.write(output_dir, mode, settings, given, paths, amounts, play)
    return paths


def _model_settings(run: Run) -> dict[str, Any]:
    """What names a model, without the folders of the machine that it lies on."""
    if run.model_folder is not None:
        name = run.model_folder.name
    else:
        folder = pathlib.Path(run.checkpoint).absolute().parent
        name = (folder.parent if folder.name in ("train", runs.BEST) else folder).name
    settings = {"model": name, "config": run.name, "step": run.step}
    return {name: value for name, value in settings.items() if value is not None}


def _decodings(
    mode: str, read: Sequence[windows.Windows], options: Options, edit: Edit | None
) -> int:
    """How many windows a mode decodes."""
    outputs = _outputs(mode, options, edit)
    return outputs * len(read[0].inputs) if mode in ("reconstruct", "edit") else outputs


def _outputs(mode: str, options: Options, edit: Edit | None) -> int:
    """How many pieces a mode gives."""
    if edit:
        return len(edit.amounts)
    if mode == "grid":
        return options.num_outputs**2
    return 1 if mode in ("reconstruct", "average") else options.num_outputs


def _sequences(
    player: "Player",
    mode: str,
    read: Sequence[windows.Windows],
    qpm: float,
    options: Options,
    edit: Edit | None,
) -> Iterable[music_pb2.NoteSequence]:
    """Makes the pieces of a mode, at their tempo."""
    temperature = options.temperature
    if mode == "sample":
        if options.keep is not None:
            return _passing(player, qpm, options, options.keep)
        return player.sample(
            options.num_outputs, options.seed, temperature, qpm, options.skip_empty, options.prior
        )
    if mode == "reconstruct":
        return [player.reconstruct(read[0], temperature, qpm)]
    if edit:
        shifts = [edit.directions.shift(amounts, edit.kind) for amounts in edit.amounts]
        return player.edit(read[0], np.array(shifts), temperature, qpm)
    if mode == "interpolate":
        return player.interpolate(read[0], read[1], options.num_outputs, temperature, qpm)
    means = player.first_means(read)
    z = latent.grid(means, options.num_outputs) if mode == "grid" else latent.average(means)[None]
    return player.decode(z, temperature, qpm)


def _passing(
    player: "Player", qpm: float, options: Options, least: Mapping[str, float]
) -> Iterator[music_pb2.NoteSequence]:
    """Samples that pass the judge of tunes."""
    number = options.num_outputs
    drawn = player.sample(
        keeping.most_drawn(number), options.seed, options.temperature, qpm, True, options.prior
    )

    def candidates() -> Iterator[tuple[music_pb2.NoteSequence, Tune | None]]:
        for sequence in drawn:
            if any(note.is_drum for note in sequence.notes):
                raise UserError(
                    "--keep=judge judges melodies, and this model plays drums; leave it out"
                )
            yield sequence, judge_reading.of_music(sequence)

    return keeping.passing(candidates(), verdicts.open_judge(""), least, number)


def _edit_words(edit: Edit | None, i: int) -> list[str]:
    """What the name of the i-th piece says of its edit."""
    if not edit:
        return []
    amounts = "_".join(f"{name}{amount:+.2f}" for name, amount in edit.amounts[i].items())
    # A colon is no letter of a file's name everywhere.
    return [edit.kind, re.sub(r"[^\w.+-]", "-", amounts)]


def require_unconditioned(run: Run) -> None:
    """Raises UserError for a run whose decoder needs controls, which nothing here gives it."""
    if run.config.data_converter.control_depth:
        raise UserError(f"{run.name} is conditioned on controls, and generate takes none")


class Player:
    """Makes music with a checkpoint; its graph is built once.

    Args:
      run: from `run.open_run`; not conditioned on controls.
      batch_size: how many pieces are encoded or decoded at once.
      seed: the seed of what is drawn in the graph.
      top_p: what is decoded is drawn from the nucleus of this probability (`models.nucleus`).

    Raises:
      UserError: where the checkpoint does not fit the config.
    """

    def __init__(self, run: Run, batch_size: int, seed: int, top_p: float = 1.0):
        self._run = run
        self._config = run.config
        self._representation = representations.of(run.config.data_converter)
        self._batch_size = batch_size
        self._model = model.load(run, batch_size, seed, top_p)
        self._restart = model.Restart(self._model, run.checkpoint)
        self._sha256: str | None = None

    def weights_sha256(self) -> str:
        """Which weights these are: `model.weights_sha256`, computed once."""
        if self._sha256 is None:
            self._sha256 = model.weights_sha256(self._model, self._run.checkpoint)
        return self._sha256

    def say_layout(self, encodes: bool) -> None:
        """Says by what the decoder runs and, where it `encodes`, the encoder; see `layout`."""
        parts = {"encoder": self._model._mu} if encodes else {}
        layout.say_used(self._config, **parts, decoder=self._model._outputs)

    def restart(self) -> None:
        """Has the decoder draw again what it drew after loading: equal calls give equal music."""
        self._restart()

    def sample(
        self,
        number: int,
        seed: int,
        temperature: float,
        qpm: float,
        skip_empty: bool = False,
        prior: str | None = None,
    ) -> Iterator[music_pb2.NoteSequence]:
        """Yields new pieces, from latent vectors drawn from the prior.

        Args:
          number: how many.
          seed: the seed of the latent vectors.
          temperature: the temperature of decoding.
          qpm: the tempo of the pieces, in quarters a minute.
          skip_empty: whether pieces without a note are passed over, and the next latent vectors
            tried in their place.
          prior: what the latent vectors are drawn from, as `model.prior_of` takes it.

        Raises:
          UserError: if a long row of pieces has no note, or there is no such prior.
        """
        rng = np.random.default_rng(seed)
        latents = model.prior_of(self._run, self._model, prior)

        def drawn(start, end):
            return latents.draw(end - start, rng)

        decoded = self._decoded(drawn, number, temperature, qpm, on=skip_empty)
        return _with_notes(decoded, number) if skip_empty else decoded

    def reconstruct(
        self, read: windows.Windows, temperature: float, qpm: float | None = None
    ) -> music_pb2.NoteSequence:
        """Encodes all windows of a piece, decodes them, and joins what comes out.

        Args:
          read: from `media.windows`, with the run's config.
          temperature: the temperature of decoding.
          qpm: the tempo, in quarters a minute; the piece's by default.
        """
        nothing = np.zeros((1, self._config.hparams.z_size))
        [joined] = self.edit(read, nothing, temperature, qpm or read.qpm)
        return joined

    def edit(
        self, read: windows.Windows, shifts: np.ndarray, temperature: float, qpm: float
    ) -> Iterator[music_pb2.NoteSequence]:
        """Yields a piece anew for each of some changes of its latent vectors.

        Each window is encoded, moved, decoded, and put in its place.

        Args:
          read: from `media.windows`, with the run's config.
          shifts: what is added to the latent vector of each window, shaped [outputs, z_size].
          temperature: the temperature of decoding.
          qpm: the tempo of the pieces, in quarters a minute.
        """
        means = model.posterior_means(self._model, read)
        z = (shifts[:, None] + means).reshape(-1, means.shape[-1]).astype(means.dtype)
        decoded = self.decode(z, temperature, qpm)
        starts = [start * read.qpm / qpm for start in read.starts]
        for windows_of_one in zip(*[decoded] * len(means), strict=True):
            yield pieces.join(list(windows_of_one), starts, self._seconds(qpm))

    def first_means(self, read: Sequence[windows.Windows]) -> np.ndarray:
        """The posterior means of the first window of each piece, shaped [pieces, z_size]."""
        return np.array([model.posterior_means(self._model, each.first())[0] for each in read])

    def decode(
        self, z: np.ndarray, temperature: float, qpm: float
    ) -> Iterator[music_pb2.NoteSequence]:
        """Yields the music of latent vectors, a window each.

        Args:
          z: shaped [n, z_size].
          temperature: the temperature of decoding.
          qpm: the tempo of the pieces, in quarters a minute.
        """
        return self._decoded(lambda *span: z[slice(*span)], len(z), temperature, qpm)

    def interpolate(
        self,
        first: windows.Windows,
        last: windows.Windows,
        number: int,
        temperature: float,
        qpm: float,
    ) -> Iterator[music_pb2.NoteSequence]:
        """Yields pieces on the way from one piece's first window to the first of another.

        Args:
          first, last: from `media.windows`, with the run's config.
          number: how many pieces, with both ends.
          temperature: the temperature of decoding.
          qpm: the tempo of the pieces, in quarters a minute.
        """
        begin, end = self.first_means([first, last])
        fractions = np.linspace(0, 1, number)

        def between(*span):
            return np.array([latent.slerp(begin, end, each) for each in fractions[slice(*span)]])

        return self._decoded(between, number, temperature, qpm)

    def _seconds(self, qpm: float) -> float | None:
        """How long a window lasts; None where windows are not equally long."""
        return self._representation.window_seconds(self._config.hparams.max_seq_len, qpm)

    def _decoded(
        self, latents: _Latents, number: int, temperature: float, qpm: float, on: bool = False
    ) -> Iterator[music_pb2.NoteSequence]:
        """Yields decoded pieces while the next batch is being decoded.

        Two batches at a time are in memory. With `on` it goes on beyond `number`, and decodes only
        what is asked for.
        """
        with Progress("pieces decoded", number) as progress:
            size, length = self._batch_size, self._config.hparams.max_seq_len
            batches = [(start, min(start + size, number)) for start in range(0, number, size)]

            def decode(batch):
                return model.decode(self._model, latents(*batch), length, temperature)

            def played(tensors):
                for sequence in self._representation.decode(tensors):
                    yield pieces.end_at(pieces.at_tempo(sequence, qpm), self._seconds(qpm))

            with concurrent.futures.ThreadPoolExecutor(max_workers=1) as decoder:
                following = decoder.submit(decode, batches[0])
                for i, (_, end) in enumerate(batches):
                    tensors = following.result()
                    if i + 1 < len(batches):
                        following = decoder.submit(decode, batches[i + 1])
                    progress.update(end)
                    yield from played(tensors)
        for start in itertools.count(number, size) if on else ():
            yield from played(decode((start, start + size)))


def _with_notes(
    decoded: Iterable[music_pb2.NoteSequence], number: int
) -> Iterator[music_pb2.NoteSequence]:
    """The first pieces that have notes; says how many others were passed over."""
    found = passed = row = 0
    for sequence in decoded:
        if sequence.notes:
            found, row = found + 1, 0
            yield sequence
            if found == number:
                break
        else:
            passed, row = passed + 1, row + 1
            if row == _MAX_EMPTY:
                raise UserError(
                    f"{found} of {number} pieces have notes, and then {row} in a row had none; "
                    "raise --temperature, or train the run further"
                )
    if passed:
        say(f"{passed} pieces without a note were passed over")


def _quick_batch_size(config) -> int:
    """How many pieces are decoded at once in the least time, and in little memory."""
    numbers = config.hparams.max_seq_len * config.data_converter.output_depth
    return max(1, min(_QUICK_BATCH_SIZE, _MAX_NUMBERS // numbers))


def _batch_size(num_outputs: int, at_most: int) -> int:
    """The size that fills all batches equally, since each costs as much as a full one."""
    return math.ceil(num_outputs / math.ceil(num_outputs / at_most))
