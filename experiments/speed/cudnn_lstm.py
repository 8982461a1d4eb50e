"""Measures training steps of LSTMs of a config's shapes in PyTorch, which runs them by cuDNN.

    ./.venv/bin/python -m experiments.speed.cudnn_lstm --config=flat-groove_4bar --batch_sizes=512

It is what `./run.sh bench train` measures of a config, with PyTorch's own layers: the encoder's
two directions, z, conductor and decoder with dropout before each layer and teacher forcing, a
cross-entropy of hits, gradients clipped by their norm, and Adam. A config with scheduled sampling
is measured with teacher forcing, too, since cuDNN cannot feed an LSTM with its own samples. It
needs PyTorch, which is not among the project's packages; give it the card alone. Prints JSON.
"""

import argparse
import json
import math
import pathlib
import statistics
import time
from typing import Any, NamedTuple

from configs import ConfigRef
from pipelines.runtime import tensorflow

_WARM_UP = 10


class Shapes(NamedTuple):
    """The sizes of a model.

    Attributes:
      inputs, outputs: the depth of a step, for the encoder and for the decoder.
      steps: of a sequence.
      levels: how many parts each level of the decoder divides the one above it into; one level
        for a flat decoder.
      encoder, decoder: units of the layers.
      z: the size of z.
      keep: what part of the inputs dropout keeps.
    """

    inputs: int
    outputs: int
    steps: int
    levels: list[int]
    encoder: list[int]
    decoder: list[int]
    z: int
    keep: float


def shapes(config) -> Shapes:
    """The sizes of a config's model.

    Args:
      config: from `ConfigRef.build`; its encoder is bidirectional, and there are no controls.
    """
    from models import accelerated

    hparams = config.hparams
    converter = config.data_converter
    return Shapes(
        converter.input_depth,
        converter.output_depth,
        hparams.max_seq_len,
        accelerated.level_lengths(config.model.decoder) or [hparams.max_seq_len],
        list(hparams.enc_rnn_size),
        list(hparams.dec_rnn_size),
        hparams.z_size,
        hparams.dropout_keep_prob,
    )


def model(sizes: Shapes):
    """A PyTorch module from (inputs, outputs), each [steps, batch, depth], to the mean loss."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Layers(nn.Module):
        """LSTMs one above the other, each with dropout before it."""

        def __init__(self, depth: int, units: list[int], bidirectional: bool = False):
            super().__init__()
            ways = 2 if bidirectional else 1
            depths = [depth, *(ways * each for each in units[:-1])]
            self.layers = nn.ModuleList(
                nn.LSTM(below, each, bidirectional=bidirectional)
                for below, each in zip(depths, units, strict=True)
            )

        def forward(self, x, states=None):
            ends = None
            for i, layer in enumerate(self.layers):
                x = functional.dropout(x, 1 - sizes.keep)
                x, (ends, _) = layer(x, states[i] if states else None)
            return x, ends

    class Decoder(nn.Module):
        """Layers whose first state is made of an embedding."""

        def __init__(self, depth: int, embedding: int):
            super().__init__()
            self.begin = nn.Linear(embedding, 2 * sum(sizes.decoder))
            self.layers = Layers(depth, sizes.decoder)

        def forward(self, x, embedding):
            units = [each for each in sizes.decoder for _ in "hc"]
            parts = torch.tanh(self.begin(embedding)).split(units, dim=1)
            parts = [part.unsqueeze(0).contiguous() for part in parts]
            return self.layers(x, list(zip(parts[::2], parts[1::2], strict=True)))[0]

    class Vae(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = Layers(sizes.inputs, sizes.encoder, bidirectional=True)
            self.posterior = nn.Linear(2 * sizes.encoder[-1], 2 * sizes.z)
            embedding = sizes.z
            self.conductors = nn.ModuleList()
            for _ in sizes.levels[:-1]:
                self.conductors.append(Decoder(1, embedding))
                embedding = sizes.decoder[-1]
            self.decoder = Decoder(sizes.outputs + embedding, embedding)
            self.output = nn.Linear(sizes.decoder[-1], sizes.outputs)

        def forward(self, inputs, outputs):
            batch = inputs.shape[1]
            _, ends = self.encoder(inputs)
            mean, raw = self.posterior(torch.cat([ends[0], ends[1]], dim=1)).chunk(2, dim=1)
            deviation = functional.softplus(raw)
            embedding = mean + deviation * torch.randn_like(mean)
            divergence = 0.5 * (mean**2 + deviation**2 - 2 * deviation.log() - 1).sum()
            for length, conductor in zip(sizes.levels[:-1], self.conductors, strict=True):
                zeros = torch.zeros(length, len(embedding), 1, device=inputs.device)
                # Segments of a sequence stand side by side.
                embedding = conductor(zeros, embedding).transpose(0, 1).flatten(0, 1)
            segments = math.prod(sizes.levels[:-1])
            steps = sizes.steps // segments
            shifted = functional.pad(outputs[:-1], (0, 0, 0, 0, 1, 0))
            fed = shifted.transpose(0, 1).reshape(batch * segments, steps, -1).transpose(0, 1)
            fed = torch.cat([fed, embedding.expand(steps, -1, -1)], dim=2)
            hs = self.decoder(fed, embedding)
            hs = hs.transpose(0, 1).reshape(batch, sizes.steps, -1).transpose(0, 1)
            loss = functional.binary_cross_entropy_with_logits(
                self.output(hs), outputs, reduction="sum"
            )
            return (loss + 0.2 * divergence) / batch

    return Vae()


def measure(sizes: Shapes, batch: int, steps: int, device: str, precision: str) -> dict[str, Any]:
    """Trains on a fixed batch.

    Args:
      sizes: of the model.
      batch: sequences in a batch.
      steps: how many steps to measure.
      device: PyTorch's name of it.
      precision: float32, tf32 (factors of products are rounded to 10 bits, as TensorFlow does by
        default), or bfloat16.
    """
    import torch

    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"
    vae = model(sizes).to(device)
    optimizer = torch.optim.Adam(vae.parameters(), 1e-3)
    inputs = torch.eye(sizes.inputs)[torch.randint(sizes.inputs, (sizes.steps, batch))].to(device)
    outputs = torch.eye(sizes.outputs)[torch.randint(sizes.outputs, (sizes.steps, batch))]
    outputs = outputs.to(device)
    times, losses = [time.perf_counter()], []
    for _ in range(_WARM_UP + steps):
        optimizer.zero_grad()
        rounded = precision == "bfloat16"
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=rounded):
            loss = vae(inputs, outputs)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        # It waits for the device, as a training job does that looks at its loss.
        losses.append(loss.item())
        times.append(time.perf_counter())
    took = [after - before for before, after in zip(times, times[1:])][_WARM_UP:]
    return {
        "batch": batch,
        "precision": precision,
        "steps/s": 1 / statistics.median(took),
        "loss at the first step": losses[0],
        "loss at the last step": losses[-1],
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--hparams", default="")
    parser.add_argument("--batch_sizes", default="32,128,512")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precisions", default="tf32,bfloat16")
    parser.add_argument("--json", type=pathlib.Path, help="a file to write as well")
    given = parser.parse_args()
    tensorflow.load()
    sizes = shapes(ConfigRef(given.config, hparams=given.hparams).build())
    import torch

    on_gpu = given.device.startswith("cuda")
    result = {
        "config": given.config,
        "hparams": given.hparams,
        "device": torch.cuda.get_device_name(given.device) if on_gpu else given.device,
        "packages": f"torch {torch.__version__} cudnn {torch.backends.cudnn.version()}",
        "measured": [
            measure(sizes, int(batch), given.steps, given.device, precision)
            for batch in given.batch_sizes.split(",")
            for precision in given.precisions.split(",")
        ],
    }
    text = json.dumps(result, indent=2) + "\n"
    if given.json:
        given.json.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
