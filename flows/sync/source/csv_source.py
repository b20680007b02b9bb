"""CSV files, as they came: the records are passed on without being taken apart."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence

from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.source.csv_record import any_record
from redrive.flows.sync.source.source import BLOCK, Readable, Since, Source, content_hash

_QUOTED = re.compile(r'"[^"]*"')
#: Bytes of a heading; a megabyte are sixteen thousand columns.
_HEADING_LIMIT = BLOCK


class CsvSource(Source):
    """One file, or the pages of one source with equal headings.

    Args:
        encoding: as the server or the job's parameters name it; UTF-8 if None.
    """

    empty_is_missing = True
    first_line = 1

    def __init__(self, paths: Sequence[Readable], label: str, encoding: str | None = None) -> None:
        super().__init__(label)
        self._paths = paths
        self._encoding = _known_encoding(encoding, label)
        heads = [self._head(path) for path in paths]
        self.delimiter, self.end, self._columns, _ = heads[0]
        for head in heads[1:]:
            if head[:3] != heads[0][:3]:
                raise PermanentError(
                    f"{label}: a further page has another heading ({', '.join(head[2])[:200]}): correct the source"
                )

    @property
    def columns(self) -> list[str]:
        return self._columns

    def blocks(self, *, since: Since | None = None) -> Iterator[bytes]:  # noqa: ARG002  (all of it must be read anyway)
        for path in self._paths:
            skip = self._head(path)[3]
            last = b""
            for block in self._decoded(path):
                if skip:
                    block, skip = block[skip:], max(0, skip - len(block))  # noqa: PLW2901
                if block:
                    last = block
                    yield block
            if last and not last.endswith((b"\n", b"\r")):
                yield self.end.encode()

    def fingerprint(self) -> str | None:
        return content_hash(self._paths)

    def _head(self, path: Readable) -> tuple[str, str, list[str], int]:
        """Delimiter, end of line, names, and the bytes all that takes."""
        start = b""
        for block in self._decoded(path):
            start += block
            if len(start) >= _HEADING_LIMIT:
                break
        first = _QUOTED.sub("", re.split(r"[\r\n]", start[:_HEADING_LIMIT].decode(errors="replace"), maxsplit=1)[0])
        delimiter = max(",;\t|", key=first.count)
        whole = start if start.endswith((b"\n", b"\r")) or len(start) >= _HEADING_LIMIT else start + b"\n"
        match = any_record(delimiter).match(whole)
        if match is None:
            raise PermanentError(f"{self.label} is no proper CSV (its first line does not end): correct the file")
        heading = match.group().decode()
        end = "\r\n" if heading.endswith("\r\n") else heading[-1]
        names = next(csv.reader(io.StringIO(heading.rstrip("\r\n"), newline=""), delimiter=delimiter), [])
        return delimiter, end, names, min(match.end(), len(start))

    def _decoded(self, path: Readable) -> Iterator[bytes]:
        """The file in UTF-8 without a byte order mark."""
        decoder = codecs.getincrementaldecoder(self._encoding)()
        at, first = 0, True
        with path.open("rb") as file:
            while True:
                block = file.read(BLOCK)
                try:
                    text = decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    raise PermanentError(
                        f"{self.label} is not {self._encoding.upper()} (byte {at + error.start:,} or before): save it as UTF-8, or "
                        "name its encoding"
                    ) from None
                at += len(block)
                if first and text:
                    first, text = False, text.removeprefix("\ufeff")
                if text:
                    yield text.encode()
                if not block:
                    return


def _known_encoding(encoding: str | None, label: str) -> str:
    try:
        name = codecs.lookup(encoding or "utf-8").name
        "".encode(name)  # not all codecs are encodings of text
    except (LookupError, TypeError, ValueError):
        raise PermanentError(f"{label}: nobody knows the encoding {encoding!r}: correct it") from None
    return name
