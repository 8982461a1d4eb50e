"""TFRecord files, read and written without TensorFlow: their framing and checksums.

https://www.tensorflow.org/tutorials/load_data/tfrecord describes the format.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

from pipelines.runtime.app import UserError

# A record is framed by its length and the checksum of that before it, its own checksum after it.
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_CRC_MASK = 0xA282EAD8


def read(path: str | os.PathLike) -> Iterator[bytes]:
    """The serialized records of a TFRecord file, in order, without TensorFlow.

    Raises:
      UserError: if the file is cut short or damaged.
    """
    for _, record in read_at(path):
        yield record


def read_at(path: str | os.PathLike, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """The records of a TFRecord file from an offset on, each with its own offset.

    Args:
      path: the file.
      offset: where the first record to read begins, in bytes.

    Raises:
      UserError: if the file is cut short or damaged.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(offset)
        while header := file.read(_HEADER.size):
            record = None
            if len(header) == _HEADER.size:
                length, checksum = _HEADER.unpack(header)
                # A damaged length must not make us allocate as much memory.
                if checksum == _masked_crc(header[:8]) and length <= size - offset:
                    record = file.read(length)
            footer = file.read(_FOOTER.size)
            if (
                record is None
                or len(footer) < _FOOTER.size
                or (_FOOTER.unpack(footer)[0] != _masked_crc(record))
            ):
                what = "" if offset else ", or no file of records"
                raise UserError(
                    f"{path} is damaged or cut short at byte {offset}{what}; make the records "
                    "again (./run.sh convert)"
                )
            yield offset, record
            offset = file.tell()


def write_record(file: BinaryIO, record: bytes) -> None:
    """Appends a record to a TFRecord file."""
    length = struct.pack("<Q", len(record))
    file.write(length + _FOOTER.pack(_masked_crc(length)))
    file.write(record)
    file.write(_FOOTER.pack(_masked_crc(record)))


def _masked_crc(data: bytes) -> int:
    """The checksum of TFRecord files: CRC-32C, rotated and shifted by a constant."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _CRC_MASK) & 0xFFFFFFFF
