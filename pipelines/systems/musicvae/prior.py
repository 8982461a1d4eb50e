"""Distributions that the latent vectors of new pieces are drawn from, and the file of one of them.

A MusicVAE is trained towards a standard normal prior, but the latent vectors of music, the
aggregated posterior, do not fill it: where there was no music, the decoder was never trained.
`Aggregated` is a mixture of normal distributions fitted to them after training (Ghosh et al.,
"From variational to deterministic autoencoders", 2020, section 4, call it ex-post density
estimation). `prior_fitting` fits it.
"""

import dataclasses
import json
import os
from typing import Any, ClassVar, Protocol

import numpy as np
import safetensors
import safetensors.numpy
from scipy import special

from pipelines.exported.weights import FACTS, divide, require_made_for
from pipelines.runtime import files
from pipelines.runtime.app import UserError

FILE = "prior.safetensors"
STANDARD, AGGREGATED = KINDS = ("standard", "aggregated")
_MAKE = "./run.sh prior"
_FORMAT = 1
_MAX_BYTES = 1 << 30


class Prior(Protocol):
    """What latent vectors are drawn from."""

    @property
    def kind(self) -> str:
        """Its name in `KINDS`."""
        ...

    def draw(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """Draws latent vectors, shaped [number, z_size].

        Two calls for n and m vectors give the same as one for n + m.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Standard:
    """The standard normal distribution: the prior that a MusicVAE is trained towards.

    Attributes:
      z_size: the size of a latent vector.
    """

    z_size: int
    kind: ClassVar[str] = STANDARD

    def draw(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """Draws latent vectors; as in `Prior`."""
        return rng.standard_normal((number, self.z_size))


@dataclasses.dataclass(frozen=True)
class Aggregated:
    """The aggregated posterior of some music: a mixture of normals in a part of latent space.

    In the directions of `basis` a latent vector is of one of the mixture's components; in all
    directions at right angles to them, which tell the decoder next to nothing, it is standard
    normal about `mean`. With eps from a standard normal of z_size dimensions and k from `weights`:

        z = mean + basis (means[k] + scales[k] basis' eps) + (eps - basis basis' eps)

    Attributes:
      made_for: which checkpoint: "config", "checkpoint" (its name), "step", "weights_sha256".
      made_of: which music: "examples_path" (its last two parts), "windows", and "gain", by how many
        nats a latent vector of pieces that were left out was likelier than under a standard normal
        (None where there were too few pieces).
      mean: the mean of the latent vectors, shaped [z_size].
      basis: orthonormal directions, shaped [z_size, dimensions].
      weights: of the components, shaped [components]; they sum to 1.
      means: shaped [components, dimensions].
      scales: lower triangular Cholesky factors of the components' covariances, shaped [components,
        dimensions, dimensions].
    """

    made_for: dict[str, Any]
    made_of: dict[str, Any]
    mean: np.ndarray
    basis: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    scales: np.ndarray
    kind: ClassVar[str] = AGGREGATED

    def draw(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """Draws latent vectors; as in `Prior`."""
        # One row of noise for each vector, so that vectors do not depend on how many are drawn at
        # once: its first number chooses the component.
        noise = rng.standard_normal((number, 1 + len(self.mean)))
        chosen = np.searchsorted(np.cumsum(self.weights)[:-1], special.ndtr(noise[:, 0]))
        eps = noise[:, 1:]
        inside = eps @ self.basis
        place = self.means[chosen] + np.einsum("nij,nj->ni", self.scales[chosen], inside)
        return self.mean + place @ self.basis.T + (eps - inside @ self.basis.T)

    def require_checkpoint(self, path: str, source: str, weights_sha256: str) -> None:
        """Raises UserError where the file at `path` is for another checkpoint than this one.

        Args:
          path: the file's.
          source: what users know the checkpoint by.
          weights_sha256: of its weights, as `model.weights_sha256` gives it.
        """
        require_made_for(
            self.made_for,
            path,
            source,
            weights_sha256,
            f"make it again with {_MAKE}; what is drawn with --prior={STANDARD} needs no file",
        )


_SHAPES = {
    "mean": ("z_size",),
    "basis": ("z_size", "dimensions"),
    "weights": ("components",),
    "means": ("components", "dimensions"),
    "scales": ("components", "dimensions", "dimensions"),
}


def write(path: str | os.PathLike, prior: Aggregated) -> None:
    """Writes the file: float32 in the format safetensors, data without code.

    Its tensors have the names and shapes of the attributes of `Aggregated`; its header has
    `made_for` and `made_of` as JSON.
    """
    facts = {"format": _FORMAT, "made_for": prior.made_for, "made_of": prior.made_of}
    tensors = {
        name: np.ascontiguousarray(getattr(prior, name), dtype=np.float32) for name in _SHAPES
    }
    with files.replacing(path) as file:
        file.write(safetensors.numpy.save(tensors, {FACTS: json.dumps(facts, sort_keys=True)}))


def read(path: str | os.PathLike, z_size: int) -> Aggregated:
    """Reads the file.

    Args:
      path: the file.
      z_size: the size of the latent vectors of the checkpoint that it is for.

    Raises:
      UserError: where it is damaged, not of this kind, or for latent vectors of another size.
    """
    content = files.read_regular(path, _MAX_BYTES)
    try:
        tensors = {
            name: tensor.astype(np.float64)
            for name, tensor in safetensors.numpy.load(content).items()
        }
        header, _ = divide(content)
        facts = json.loads(header["__metadata__"][FACTS])
        if facts["format"] != _FORMAT:
            raise UserError(
                f"{path}: written by another version (format {facts['format']}, not {_FORMAT}); "
                f"make it again with {_MAKE}"
            )
        prior = Aggregated(dict(facts["made_for"]), dict(facts["made_of"]), **tensors)
        _check(prior, z_size)
    except (
        safetensors.SafetensorError,
        ValueError,
        LookupError,
        TypeError,
        RecursionError,
    ) as error:
        raise UserError(
            f"{path}: no prior, or a damaged one ({type(error).__name__}: {error}); make it again "
            f"with {_MAKE}"
        ) from error
    return prior


def _check(prior: Aggregated, z_size: int) -> None:
    """Raises ValueError for numbers that latent vectors cannot be drawn from."""
    sizes = {
        "z_size": z_size,
        "dimensions": np.shape(prior.basis)[-1],
        "components": len(prior.weights),
    }
    for name, shape in _SHAPES.items():
        tensor = getattr(prior, name)
        if tensor.shape != tuple(sizes[each] for each in shape) or not tensor.size:
            raise ValueError(f"{name} is of the shape {tensor.shape}, for a z_size of {z_size}")
        if not np.isfinite(tensor).all():
            raise ValueError(f"{name} has numbers that are not finite")
    if prior.weights.min() < 0 or abs(prior.weights.sum() - 1) > 1e-3:
        raise ValueError("the weights are no probabilities")
