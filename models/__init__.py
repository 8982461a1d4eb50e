"""The networks that this project adds to Magenta's."""

import pipelines  # noqa: F401  chooses Keras, before a module here imports TensorFlow
