"""A map of single code points inside a TensorFlow graph, by which the encoders normalise text.

Lower case, folded accents and the ends of words depend on one code point at a time, so a table of
what each becomes gives the same as a normaliser. It needs nothing but TensorFlow's core ops, and
stays the same whichever version of Unicode the Python that loads it knows.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

# Unicode ends before this code point.
LIMIT = 0x110000


class CodePointMap(tf.Module):
    """What every code point becomes: nothing, itself, or others.

    Args:
      mapped: from a character to the text that stands for it. It is not called for lone surrogates,
        which UTF-8 cannot hold.
    """

    def __init__(self, mapped: Callable[[str], str]):
        super().__init__(name="code_point_map")
        rows: dict[str, int] = {}
        which = np.zeros(LIMIT, np.int32)  # 0: itself
        for code in range(LIMIT):
            if 0xD800 <= code < 0xE000:
                continue
            character = chr(code)
            text = mapped(character)
            if text != character:
                which[code] = rows.setdefault(text, len(rows) + 1)
        longest = max(map(len, rows), default=1)
        table = np.full((len(rows) + 1, longest), -1, np.int32)
        for text, row in rows.items():
            table[row, : len(text)] = list(map(ord, text))
        # Variables, so that the numbers lie in the checkpoint and not in the graph's text.
        self.which = tf.Variable(which, trainable=False, name="which")
        self.table = tf.Variable(table, trainable=False, name="table")

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """The mapped code points of each text.

        Args:
          texts: strings [n] in UTF-8; bytes that are not UTF-8 count as U+FFFD.

        Returns:
          int32 [n, (code points)].
        """
        codes = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
        row = tf.gather(self.which, codes.flat_values)
        mapped = tf.gather(self.table, row)
        itself = tf.concat(
            [codes.flat_values[:, None], tf.fill([tf.size(row), tf.shape(mapped)[1] - 1], -1)], 1
        )
        out = tf.where(row[:, None] == 0, itself, mapped)
        kept = out >= 0
        # How many code points of the output come before each of the input.
        before = tf.concat([[0], tf.cumsum(tf.reduce_sum(tf.cast(kept, tf.int64), 1))], 0)
        return tf.RaggedTensor.from_row_splits(
            tf.boolean_mask(out, kept), tf.gather(before, codes.row_splits), validate=False
        )
