"""Vectors by sentence-transformers: a JSON list of texts on stdin, an .npz file on stdout.

    python minilm_vectors.py MODEL_FOLDER <texts.json >vectors.npz

It runs in an environment of its own with sentence-transformers and PyTorch in it, and imports
nothing of this project. The file has "vectors", float32 [n, 384], and "versions", JSON in bytes.
"""

import io
import json
import sys

import numpy as np
import sentence_transformers
import torch

answers = sys.stdout.buffer
# Whatever else is printed is no part of the answer.
sys.stdout = sys.stderr
model = sentence_transformers.SentenceTransformer(sys.argv[1], device="cpu")
vectors = model.encode(json.load(sys.stdin), batch_size=64, show_progress_bar=False)
versions = {
    "sentence-transformers": sentence_transformers.__version__,
    "torch": torch.__version__,
}
file = io.BytesIO()
np.savez(
    file,
    vectors=np.asarray(vectors, np.float32),
    versions=np.frombuffer(json.dumps(versions).encode(), np.uint8),
)
answers.write(file.getvalue())
