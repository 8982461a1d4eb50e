"""The jobs: a file here is a command, and a folder is a room (docs/architecture.md)."""

from pipelines.runtime import magenta_compat  # noqa: F401  chooses Keras, before TensorFlow
