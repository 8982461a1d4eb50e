"""TFRecord files, read and written without TensorFlow."""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

from pipelines.runtime.app import UserError

# TFRecord framing: length, its checksum, data, its checksum.
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
    """As `read`, from a record's offset in the file on, with the offset of each record."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(offset)
        while header := file.read(_HEADER.size):
            record = None
            if len(header) == _HEADER.size:
                length, checksum = _HEADER.unpack(header)
                # The length is checked before anything of that length is allocated.
                if checksum == _masked_crc(header[:8]) and length <= size - offset:
                    record = file.read(length)
            footer = file.read(_FOOTER.size)
            if (
                record is None
                or len(footer) < _FOOTER.size
                or (_FOOTER.unpack(footer)[0] != _masked_crc(record))
            ):
                raise UserError(
                    f"{path} is damaged or cut short at byte {offset}; make the records again"
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
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _CRC_MASK) & 0xFFFFFFFF
