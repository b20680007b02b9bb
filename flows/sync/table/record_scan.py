"""Looks at every value of a stream of CSV records without taking it apart: what is as expected goes on as it came.

One pattern describes a record whose values tell nothing new about their columns' types. The regular expression engine runs over
a block of a megabyte in one call; where it stops, that one record is read value by value, the pattern is made again, and it goes
on. So each value is judged by the same rules, at a hundred megabytes in about two seconds, and the bytes can go straight to COPY.

Danger: what this lets through is what PostgreSQL reads. A record that both could understand differently (a quote inside of
an unquoted value, too few values, another end of line) is written again in the one form that cannot be misread.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Generator, Iterable, Iterator, Sequence

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.source.csv_record import any_record
from redrive.flows.sync.table.column_types import Column

#: Bytes of one record; PostgreSQL takes up to 1 GB in a value, and a job has far less memory.
RECORD_LIMIT = 16 * 1024**2
# The csv module's own limit is 128 KB a value.
csv.field_size_limit(RECORD_LIMIT)


class RecordScan:
    """Tells the types of columns while their records go by.

    Args:
        empty_is_missing: whether `""` is no value, as in CSV files, or an empty text.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        label: str,
        delimiter: str = ",",
        end: str = "\n",
        empty_is_missing: bool = True,
        first_line: int = 1,
    ) -> None:
        self.columns = columns
        #: Lines so far; the first of a CSV file is its heading.
        self.line = first_line
        #: Rows with fewer values than columns, and the line of the first: a file that was cut off has one too.
        self.short = self.first_short = 0
        self._label = label
        self._delimiter = delimiter
        self._end = end
        self._empty_is_missing = empty_is_missing
        self._any = any_record(delimiter)
        self._known = self._expected()

    def warnings(self) -> Iterator[str]:
        """What a person should know of the rows."""
        if self.short:
            have, their = ("has", "its") if self.short == 1 else ("have", "their")
            yield (
                f"{counted(self.short, 'row')} of {self._label} {have} fewer values than columns, the first in line "
                f"{self.first_short:,}: {their} last columns are empty; see that the file was not cut off"
            )

    def scanned(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The records for COPY, in the format CSV, with unquoted empty values as NULL.

        Raises:
            PermanentError: a record with too many values, too long, or with an unclosed quote.
        """
        rest = b""
        for block in blocks:
            rest = yield from self._through(rest + block, last=False)
            if len(rest) > RECORD_LIMIT:
                raise PermanentError(
                    f"{self._label} has a row of more than {RECORD_LIMIT >> 20} MB after line {self.line:,} (an unclosed quote, or no "
                    "CSV at all): correct it"
                )
        if rest:
            rest = yield from self._through(
                rest if rest.endswith((b"\n", b"\r")) else rest + self._end.encode(), last=True
            )
        if rest.strip():
            raise PermanentError(
                f"{self._label} ends inside of a quoted value that begins in line {self.line + 1:,}: correct it"
            )

    def _through(self, block: bytes, *, last: bool) -> Generator[bytes, None, bytes]:
        at = 0
        while at < len(block):
            match = self._known.match(block, at)
            end = match.end() if match else at
            if end > at:
                self.line += block.count(self._end.encode(), at, end)
                yield block[at:end] if (at, end) != (0, len(block)) else block
                at = end
                if at == len(block):
                    break
            odd = self._any.match(block, at)
            # A carriage return at the very end may be half of an end of line.
            if odd is None or (odd.end() == len(block) and block.endswith(b"\r") and not last):
                break
            yield self._taken_apart(odd.group())
            at = odd.end()
        return block[at:]

    def _taken_apart(self, record: bytes) -> bytes:
        try:
            text = record.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise PermanentError(
                f"{self._label} is not UTF-8 (byte {error.start} of line {self.line + 1:,})"
            ) from error
        self.line += 1 + text.count(self._end)
        if not text:
            return b""  # an empty line
        values = next(csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter))
        if len(values) > len(self.columns):
            raise PermanentError(
                f"{self._label} is no proper CSV: line {self.line:,} has {counted(len(values), 'value')} for "
                f"{counted(len(self.columns), 'column')}: correct the file"
            )
        plain = (
            [value or None for value in values]
            if self._empty_is_missing
            else _with_empty(text, values, self._delimiter)
        )
        if len(plain) < len(self.columns):
            self.short += 1
            self.first_short = self.first_short or self.line
            plain += [None] * (len(self.columns) - len(plain))
        before = [column.pattern for column in self.columns]
        for column, value in zip(self.columns, plain, strict=True):
            column.see(value, self.line)
        if before != [column.pattern for column in self.columns]:
            self._known = self._expected()
        line = self._delimiter.join("" if value is None else '"' + value.replace('"', '""') + '"' for value in plain)
        return (line + self._end).encode()

    def _expected(self) -> re.Pattern[bytes]:
        cut = re.escape(self._delimiter)
        ends = rf"(?=[{cut}\r\n])"
        values = []
        for column in self.columns:
            pattern = column.pattern
            if pattern is None:
                values.append(rf'(?:[^"{cut}\r\n]*+|"(?:[^"]|"")*+"{ends})')
            elif self._empty_is_missing:
                values.append(rf'(?:(?:{pattern}){ends}|{ends}|"(?:{pattern})?"{ends})')
            else:
                values.append(rf'(?:(?:{pattern}){ends}|{ends}|"(?:{pattern})"{ends})')
        # Not an empty line, and not what ends a COPY in older versions of PostgreSQL.
        record = r"(?![\r\n]|\\\.)" + cut.join(values) + re.escape(self._end)
        return re.compile(f"(?:{record})*+".encode())


def _with_empty(text: str, values: list[str], delimiter: str) -> list[str | None]:
    """Tell an empty text (`""`) from no value, in records of our own making: quoted exactly where they are texts."""
    if all(values):
        return list(values)
    found: list[str | None] = []
    pieces = re.findall(rf'(?:^|{re.escape(delimiter)})("(?:[^"]|"")*"|[^{re.escape(delimiter)}]*)', text)
    for piece, value in zip(pieces, values, strict=True):
        found.append(None if piece == "" else value)
    return found
