"""Sound at another rate and in mono, in blocks, by soxr."""

from collections.abc import Iterable, Iterator

import numpy as np


def mono(blocks: Iterable[np.ndarray], rate: int, new_rate: int) -> Iterator[np.ndarray]:
    """The mean of all channels at another rate.

    Args:
      blocks: float32 shaped [frames, channels], at `rate` frames a second.
      rate: of the blocks.
      new_rate: of what is returned.

    Yields:
      Blocks of float32 shaped [frames], at `new_rate` frames a second; together as long as what
      went in, rounded to a frame.
    """
    import soxr

    stream = soxr.ResampleStream(rate, new_rate, 1, dtype="float32") if rate != new_rate else None
    for block in blocks:
        # Column by column: ten times as fast as a mean along the short axis.
        mixed = sum(block.T[1:], start=block[:, 0]) / np.float32(block.shape[1])
        yield stream.resample_chunk(mixed) if stream else mixed
    if stream:
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
