"""The whole chain, small: twenty performances are rendered, each model learns and converts."""

import dataclasses

import numpy as np
import pytest
import soundfile

from configs import style
from configs import vocoder as vocoder_configs
from configs import wavenet_gan as waveform_configs
from pipelines.audio import font_library
from pipelines.systems.style.sounds import reconstructing, rendering
from pipelines.systems.style.training import mel_training, opening, waveform_training
from pipelines.systems.style.transfer import converting, transfers
from pipelines.systems.style.vocoders import vocoder, vocoder_training
from tests.support import records
from tests.support.pieces import drums

pytest.importorskip("tinysoundfont", reason="no tinysoundfont: it has no wheel here")
pytestmark = [pytest.mark.keras3, pytest.mark.slow]

SOUNDS = [font_library.find_sound(f"TimGM6mb:{each}") for each in ("Standard", "TR 808")]
SPLITS = {"train": 12, "validation": 4, "test": 4}
STEPS = 30
SMALL = {"width": 8, "critic_width": 8, "vector": 4, "piece": 8, "batch_size": 2, "minutes": 0.5}
SMALL_WAVENET = {"layers": 3, "stacks": 1, "channels": 4, "skip_channels": 4}
SMALL_VOCODER = {**SMALL_WAVENET, "batch_size": 2}
SMALL_OF_SAMPLES = {
    **SMALL_WAVENET, "critic_width": 8, "vector": 4, "piece": 8, "batch_size": 2, "minutes": 0.5,
}  # fmt: skip
# Of one processor; on two, that is less on the clock.


def groove(number, split):
    """Two seconds of drums, each performance with another accent; as of `records.make`."""
    hits = [(0.25 * at, (36, 42, 38, 42)[(at + number) % 4], 60 + 3 * number) for at in range(8)]
    piece = drums(hits)
    piece.id = f"groove {number}"
    return split, piece.id, piece.SerializeToString()


def rendered(root, name, **settings):
    """A folder of twenty performances with both sounds."""
    splits = [split for split, count in SPLITS.items() for _ in range(count)]
    if not (root / "records").is_dir():
        entries = [groove(number, split) for number, split in enumerate(splits)]
        records.make(root / "records", {"grooves": entries})
    settings = rendering.Settings(**settings)
    summary = rendering.render(str(root / "records"), SOUNDS, root / name, settings)
    assert (summary["performances"], summary["rejected"]) == (20, 0)
    return root / name


def converted(folder, run, output):
    """The test split with the sound that a run has learnt; returns its files and their sources."""
    source = folder / "source" / "test"
    transfer, _ = opening.open_run(str(run))
    summary = converting.convert(transfer, {}, str(source), output)
    assert (summary["sounds"], summary["converted"], summary["rejected"]) == (4, 4, 0)
    for row in summary["files"]:
        made, rate = soundfile.read(output / row["file"])
        heard = soundfile.info((source / row["file"]).with_suffix(".flac"))
        assert (rate, len(made)) == (heard.samplerate, heard.frames)
        assert np.any(made)


def drawn(sounds, run, output):
    """Half a second of each sound as a vocoder draws it from mels."""
    opened = vocoder.open_vocoder(str(run))
    found = reconstructing.reconstruct(
        str(sounds),
        "mel",
        output,
        part=reconstructing.Part(0, 0.5),
        vocoder=lambda samples: opened.sound(transfers.mels(samples), len(samples)),
    )
    assert (found["sounds"], found["reconstructed"], found["rejected"]) == (4, 4, 0)


def test_the_chain(tmp_path):
    unpaired = rendered(tmp_path, "unpaired")
    paired = rendered(tmp_path, "paired", paired_training=True)
    for name, values in style.MODELS.items():
        folder = paired if values.method == "paired" else unpaired
        hparams = dataclasses.replace(values, **SMALL, num_steps=STEPS, every=STEPS)
        run = tmp_path / "runs" / name
        both = (str(folder / role) for role in ("source", "target"))
        mel_training.train(name, hparams, *both, str(run))
        assert (run / "train" / f"ckpt-{STEPS}.index").is_file()
        converted(folder, run, tmp_path / "converted" / name)
    for name, values in waveform_configs.MODELS.items():
        hparams = dataclasses.replace(values, **SMALL_OF_SAMPLES, num_steps=STEPS, every=STEPS)
        run = tmp_path / "runs" / name
        both = (str(unpaired / role) for role in ("source", "target"))
        waveform_training.train(name, hparams, *both, str(run))
        converted(unpaired, run, tmp_path / "converted" / name)
    for name, values in vocoder_configs.MODELS.items():
        hparams = dataclasses.replace(values, **SMALL_VOCODER, num_steps=STEPS, every=STEPS)
        run = tmp_path / "runs" / name
        vocoder_training.train(name, hparams, str(unpaired / "target"), str(run))
        drawn(unpaired / "target" / "test", run, tmp_path / "drawn" / name)
