"""Sound fonts made for tests: the list of presets alone, without a sample."""

import struct


def chunk(name: bytes, content: bytes, padded: bool = True) -> bytes:
    """A chunk of RIFF; with a zero after an odd length, if it is padded."""
    odd = b"\0" if padded and len(content) % 2 else b""
    return name + struct.pack("<I", len(content)) + content + odd


def font(presets, padded: bool = True) -> bytes:
    """The bytes of a font that has presets: (bank, program, name) of each."""
    rows = [*presets, (0, 0, "EOP")]
    headers = b"".join(
        struct.pack("<20sHHHIII", name.encode(), program, bank, 0, 0, 0, 0)
        for bank, program, name in rows
    )
    lists = (
        chunk(b"LIST", b"INFO" + chunk(b"INAM", b"made")),
        chunk(b"LIST", b"sdta" + b"phdr odd", padded)
        if padded
        else chunk(b"LIST", b"sdta!", False),
        chunk(b"LIST", b"pdta" + chunk(b"phdr", headers)),
    )
    return chunk(b"RIFF", b"sfbk" + b"".join(lists))
