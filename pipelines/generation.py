"""New music from a checkpoint: the work of the job `generate`."""

import os

import numpy as np

from pipelines import latent, music, trained_model
from pipelines.app import Progress, UserError, say


def generate(
    run,
    mode: str,
    output_dir: str,
    *,
    inputs: tuple[str, ...] = (),
    num_outputs: int = 5,
    max_batch_size: int = 8,
    temperature: float = 0.5,
    seed: int = 0,
    qpm: float | None = None,
    pianoroll: bool = True,
) -> list[str]:
    """Writes MIDI files, and a piano roll beside each.

    Args:
      run: from `runs.open_run`.
      mode: "sample", "reconstruct" or "interpolate".
      output_dir: the folder of the files; made where it does not exist.
      inputs: paths of MIDI files: none, one or two, as the mode needs.
      num_outputs: how many samples or steps.
      max_batch_size: how many are decoded at once, at most.
      temperature: of the decoding.
      seed: of what is drawn.
      qpm: tempo of the output in quarters a minute; None takes the first input's, else 120.
      pianoroll: whether to draw.

    Returns:
      The paths of the MIDI files.

    Raises:
      UserError: where an input is no MIDI file or gives no example, saying why, or the checkpoint
        does not fit the config.
    """
    config = run.config
    length = config.hparams.max_seq_len
    if config.data_converter.control_depth:
        raise UserError(f"{run.name} is conditioned on controls, which generate has no input for")
    if inputs and not config.hparams.z_size:
        raise UserError(f"--mode={mode}: {run.name} has no latent vector (z_size=0); only sample")
    pieces = [music.read_windows(config, run.name, path) for path in inputs]
    if mode == "reconstruct":
        num_outputs = len(pieces[0].inputs)
    model = trained_model.load(run, min(max_batch_size, num_outputs), seed)

    if mode == "sample":
        if config.hparams.z_size:
            z = np.random.default_rng(seed).standard_normal((num_outputs, config.hparams.z_size))
        else:
            z = None
    elif mode == "reconstruct":
        z = trained_model.posterior_means(model, pieces[0])
    else:
        for piece, path in zip(pieces, inputs):
            if len(piece.inputs) > 1:
                say(f"{path}: {len(piece.inputs)} windows; the first is taken")
        start, end = (trained_model.posterior_means(model, piece.first())[0] for piece in pieces)
        fractions = np.linspace(0, 1, num_outputs)
        z = np.array([latent.slerp(start, end, fraction) for fraction in fractions])

    if z is None:
        results = model.sample(num_outputs, length, temperature)
    else:
        results = model.decode(z, length, temperature)
    results = list(results)
    qpm = qpm or (pieces[0].qpm if pieces else 120.0)
    results = [music.at_tempo(result, qpm) for result in results]
    if mode == "reconstruct":
        results = [music.join(results, config, qpm)]

    os.makedirs(output_dir, exist_ok=True)
    paths = []
    progress = Progress("files written", len(results))
    for i, result in enumerate(results):
        name = f"{run.name}_{mode}_{i:03d}-of-{len(results):03d}.mid"
        path = os.path.join(output_dir, name)
        music.write(result, path, pianoroll)
        paths.append(path)
        progress.update(i + 1)
    progress.close()
    return paths
