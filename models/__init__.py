"""The networks that this project adds to Magenta, and what Magenta needs to run today."""

from models import magenta_compat  # noqa: F401  chooses Keras, before TensorFlow is imported
