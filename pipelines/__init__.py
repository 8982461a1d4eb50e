"""The stages of the chain: corpus, records, tensors, model, music; one module a stage."""

import models  # noqa: F401  chooses Keras, before a module here imports TensorFlow
