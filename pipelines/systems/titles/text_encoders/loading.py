"""Loads any text encoder as a function from strings to vectors, with a fingerprint."""

import hashlib
import os
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import platformdirs
import tensorflow as tf

from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Stages
from pipelines.systems.titles.text_encoders import OFFLINE

# A server that sends nothing for so long is given up; TF-Hub itself would wait forever.
_TIMEOUT_SECONDS = 30.0
# A batch has at most so many texts, and at most so many bytes when all are padded to the longest.
_BATCH_TEXTS, _BATCH_BYTES = 256, 2**16
# Which output counts where an encoder gives several: the first of these that is there.
_OUTPUTS = ("default", "outputs", "output_0", "sentence_embedding", "embeddings")
# What an encoder is tried with once it is loaded.
_SAMPLE = b"The Maid Behind the Bar"
_HASH = "sha256:"
_READ_BYTES = 1 << 24


class OtherEncoderError(Exception):
    """An encoder that is not the expected one; it was not loaded."""


class TextEncoder:
    """Strings to vectors.

    Attributes:
      handle: what it was loaded from.
      dimensions: how many numbers a vector has.
      fingerprint: the hash of its files, as `fingerprint` gives it.
    """

    def __init__(self, handle: str, call: Callable[[Any], Any], fingerprint: str):
        """Tries the encoder.

        Args:
          handle: what it was loaded from.
          call: from a string tensor [n] to whatever the encoder gives.
          fingerprint: the hash of its files.

        Raises:
          UserError: if it does not give a vector for a string.
        """
        self.handle = handle
        self._call = call
        self.fingerprint = fingerprint
        self.dimensions = self._batch([_SAMPLE]).shape[1]

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors: float32 [n, dimensions], all finite.

        Raises:
          UserError: if the encoder gives anything else.
        """
        # A lone surrogate cannot be encoded, and becomes "?".
        encoded = [text.encode("utf-8", errors="replace") for text in texts]
        vectors = np.empty((len(encoded), self.dimensions), np.float32)
        for batch in _batches(encoded):
            vectors[batch] = self._batch([encoded[index] for index in batch])
        return vectors

    def _batch(self, texts: list[bytes]) -> np.ndarray:
        config = tf.config.experimental
        rounded = config.tensor_float_32_execution_enabled()
        # Unless told otherwise, TensorFlow multiplies with 10 bits of mantissa on GPUs, which moves
        # vectors by 1e-3.
        config.enable_tensor_float_32_execution(False)
        try:
            given = self._call(tf.constant(texts, tf.string))
        except (tf.errors.OpError, TypeError, ValueError) as error:
            raise UserError(
                f"{self.handle}: takes no batch of strings ({_short(error)}); name another encoder"
            ) from None
        finally:
            config.enable_tensor_float_32_execution(rounded)
        vectors = _output(given)
        if not (
            isinstance(vectors, tf.Tensor)
            and vectors.dtype.is_floating
            and vectors.shape.rank == 2
            and vectors.shape[0] == len(texts)
            and vectors.shape[1] == getattr(self, "dimensions", vectors.shape[1]) > 0
        ):
            raise UserError(
                f"{self.handle}: for {len(texts)} strings it gave {_described(vectors)}, and not "
                "a vector each; name another encoder"
            )
        result = tf.cast(vectors, tf.float32).numpy()
        finite = np.isfinite(result).all(1)
        if not finite.all():
            text = texts[int(np.argmin(finite))].decode()
            raise UserError(
                f"{self.handle}: the vector of {text[:60]!r} is not finite; name another encoder"
            )
        return result


def load(handle: str, expected: str | None = None) -> TextEncoder:
    """Loads an encoder, which is to run its program.

    Args:
      handle: a TF-Hub handle or URL, or the folder of a SavedModel.
      expected: the fingerprint that it has to have; None takes any.

    Raises:
      UserError: if it cannot be loaded, or does not take strings.
      OtherEncoderError: if it has another fingerprint than the expected one.
    """
    if not tf.executing_eagerly():
        raise RuntimeError("text encoders need TensorFlow 2's eager mode, which was switched off")
    hub, has_text_ops = _import_hub()
    # TF-Hub's own choice is a folder of the system's temporary one, of a name that is known: any
    # user of the machine could put an encoder there first.
    cache = platformdirs.user_cache_path("reelgroove") / "tfhub_modules"
    # TF-Hub takes an empty variable for none.
    os.environ["TFHUB_CACHE_DIR"] = os.environ.get("TFHUB_CACHE_DIR") or os.fspath(cache)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    try:
        with Stages() as stages:
            if "://" in handle:
                stages.begin(f"getting the text encoder {handle}")
            folder = hub.resolve(os.path.expanduser(handle))
        found = fingerprint(folder)
        if found != (expected or found):
            raise OtherEncoderError(handle)
        loaded = hub.load(folder)
    except OtherEncoderError:
        raise
    # Bad handles end in errors of urllib, tarfile, protobuf, and in every kind of TensorFlow's.
    except Exception as error:
        needs_ops = "Op type not registered" in str(error) and not has_text_ops
        hint = "; it may need tensorflow-text, which ./run.sh installs" if needs_ops else ""
        where = (
            "; TFHUB_CACHE_DIR names the folder of encoders downloaded before"
            if "://" in handle
            else ""
        )
        raise UserError(
            f"--text_encoder={handle}: cannot be loaded ({_short(error)}){hint}; {OFFLINE}{where}"
        ) from None
    finally:
        socket.setdefaulttimeout(timeout)
    return TextEncoder(handle, _callable(handle, loaded), found)


def fingerprint(folder: str) -> str:
    """The hash of a SavedModel: of all its files, their names in the folder and their contents.

    A copy has the same hash. Another export of the same encoder has not, for TensorFlow numbers
    each export (fingerprint.pb), so the hash is taken of the copy that stays with a run. Hidden
    files are left out: file managers put them into folders that are looked at.

    Args:
      folder: any that TensorFlow reads, such as gs://BUCKET/FOLDER.
    """
    digest = hashlib.sha256()
    paths = [
        os.path.join(place, name)
        for place, _, names in tf.io.gfile.walk(folder)
        for name in names
        if not name.startswith(".")
    ]
    for name, path in sorted((os.path.relpath(path, folder), path) for path in paths):
        # A pipe would be waited for. Paths such as gs://BUCKET/FILE do not exist here.
        if os.path.exists(path) and not os.path.isfile(path):
            raise UserError(f"{path}: not a file, in the folder of a text encoder; remove it")
        content = hashlib.sha256()
        with tf.io.gfile.GFile(path, "rb") as file:
            while piece := file.read(_READ_BYTES):
                content.update(piece)
        digest.update(f"{content.hexdigest()} {name}\n".encode("utf-8", "surrogateescape"))
    return f"{_HASH}{digest.hexdigest()}"


def is_hash(fingerprint: str) -> bool:
    """Whether a run's fingerprint is a hash of files, and not the numbers of earlier versions."""
    return fingerprint.startswith(_HASH)


def _batches(texts: Sequence[bytes]) -> Iterator[list[int]]:
    """Batches of indices of texts of similar length, since encoders pad a batch to its longest."""
    batch: list[int] = []
    for index in sorted(range(len(texts)), key=lambda index: len(texts[index])):
        # The texts come in ascending order, so this one is the longest of its batch.
        if batch and (
            len(batch) == _BATCH_TEXTS or (len(batch) + 1) * len(texts[index]) > _BATCH_BYTES
        ):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _import_hub() -> tuple[Any, bool]:
    """TF-Hub, and whether the ops of tensorflow-text, which encoders may need, are there."""
    with warnings.catch_warnings():
        # TF-Hub imports pkg_resources, which setuptools deprecates.
        warnings.simplefilter("ignore")
        import tensorflow_hub

        try:
            import tensorflow_text  # noqa: F401
        except ImportError:
            return tensorflow_hub, False
    return tensorflow_hub, True


def _callable(handle: str, loaded: Any) -> Callable[[Any], Any]:
    """What maps a batch of strings: the object itself, or one of its signatures."""
    if callable(loaded):
        return loaded
    signatures = getattr(loaded, "signatures", {})
    for name in ("default", "serving_default"):
        if name in signatures:
            signature = signatures[name]
            inputs = list(signature.structured_input_signature[1])
            if len(inputs) == 1:
                return lambda texts: signature(**{inputs[0]: texts})
    raise UserError(
        f"--text_encoder={handle}: is a SavedModel, but cannot be called on strings (signatures: "
        f"{', '.join(sorted(signatures)) or 'none'}); {OFFLINE}"
    )


def _output(given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    for name in _OUTPUTS:
        if name in given:
            return given[name]
    return next(iter(given.values())) if len(given) == 1 else given


def _described(given: Any) -> str:
    if isinstance(given, dict):
        return f"a dict of {', '.join(sorted(map(str, given))) or 'nothing'}"
    if hasattr(given, "dtype") and hasattr(given, "shape"):
        return f"{type(given).__name__} of {given.dtype.name} {list(given.shape)}"
    return type(given).__name__


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}".rstrip(": ")
