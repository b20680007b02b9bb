"""The body of an HTTP answer as it was before its server packed it.

Danger: a packed stream that breaks off looks whole to whoever unpacks it: its end must have come.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.source.unreachable import SourceUnreachable

#: Bytes unpacked at a time: what a bomb is before its size is looked at.
PIECE = 1 << 20
#: zlib's word for a stream with gzip's head and tail.
_GZIP = 16 + zlib.MAX_WBITS


def unpacked(pieces: Iterable[bytes], encoding: str, shown: str) -> Iterator[bytes]:
    """The body of an answer, whose Content-Encoding is `encoding`.

    Raises:
        PermanentError: it is packed in a way that was not asked for.
        SourceUnreachable: it cannot be unpacked, or breaks off.
    """
    match encoding.strip().lower():
        case "" | "identity":
            yield from pieces
        case "gzip" | "x-gzip":
            try:
                yield from _from_gzip(pieces, shown)
            except zlib.error as error:
                raise SourceUnreachable(
                    f"{shown} sends what cannot be unpacked ({error}): its server has a problem"
                ) from None
        case other:
            raise PermanentError(
                f"{shown} packs its answer as {other[:40]!r}, which was not asked for: correct the server"
            )


def _from_gzip(pieces: Iterable[bytes], shown: str) -> Iterator[bytes]:
    """All members of it, as gzip's own programs read one file after another."""
    unpacker, whole = zlib.decompressobj(_GZIP), True
    for piece in pieces:
        left = piece
        while left:
            if unpacker.eof:
                unpacker = zlib.decompressobj(_GZIP)
            if more := unpacker.decompress(left, PIECE):
                yield more
            left = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            whole = unpacker.eof
    # What the last piece holds beyond the size of one.
    while not unpacker.eof and (more := unpacker.decompress(b"", PIECE)):
        yield more
        whole = unpacker.eof
    if not whole:
        raise SourceUnreachable(f"{shown} broke off in the middle of what it sends: its server has a problem")
