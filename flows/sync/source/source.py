"""A source of rows: its columns, and a stream of CSV records of them, whatever it was before.

Danger: values are text until the database reads them, so that 00123 stays 00123 and nothing is rounded on the way; no number is
ever a float. A missing value is nothing between two delimiters; in JSON and SQLite an empty text is `""` and stays one.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from redrive.blocks.access.held_file import HeldFile
from redrive.blocks.core.errors import PermanentError

Kind = Literal["auto", "csv", "sqlite", "json"]
#: What was named by a parameter is held; what was downloaded lies in a folder of our own.
Readable = HeldFile | Path

#: Bytes that are read and scanned at once.
BLOCK = 1 << 20
#: PostgreSQL cuts longer names off silently.
NAME_BYTES_LIMIT = 63
#: PostgreSQL's own limit for a table.
COLUMNS_LIMIT = 1600


class Source(ABC):
    """Rows as CSV records in UTF-8."""

    #: Of the records.
    delimiter = ","
    end = "\n"
    #: Whether `""` is no value, as in CSV files of others.
    empty_is_missing = False
    #: Lines before the first record.
    first_line = 0

    def __init__(self, label: str) -> None:
        self.label = label
        #: Headers with which a server may answer that nothing has changed.
        self.validators: dict[str, str] = {}
        #: What a person should know of it though its rows are read.
        self.warnings: tuple[str, ...] = ()

    @property
    @abstractmethod
    def columns(self) -> list[str]: ...

    @abstractmethod
    def blocks(self, *, since: Since | None = None) -> Iterator[bytes]:
        """All records without a heading, cut anywhere, from the start each time.

        Args:
            since: rows certainly below may be left out, where that is cheaper than sending them.
        """

    def fingerprint(self) -> str | None:
        """Something that is equal only if all rows are; None if finding out costs as much as reading them."""
        return None


class Since:
    """The highest value of the cursor column so far, and its type in the table."""

    def __init__(self, column: str, type: str, value: str) -> None:  # noqa: A002  (PostgreSQL's word)
        self.column = column
        self.type = type
        self.value = value


def check_columns(source: Source) -> None:
    """See that the columns can be those of a table.

    Raises:
        PermanentError: they cannot; the message names the column.
    """
    names = source.columns
    if not names:
        raise PermanentError(f"{source.label} has no columns: check that it is the file you mean")
    if len(names) > COLUMNS_LIMIT:
        raise PermanentError(
            f"{source.label} has {len(names):,} columns, and a table of PostgreSQL takes {COLUMNS_LIMIT:,}: take some out"
        )
    for name in names:
        if not name.strip() or "\x00" in name:
            raise PermanentError(
                f"{source.label} has a column without a name, the {names.index(name) + 1}. one: name it"
            )
        if len(name.encode()) > NAME_BYTES_LIMIT:
            raise PermanentError(
                f"{source.label}: column {name[:30]!r}… is longer than {NAME_BYTES_LIMIT} bytes: give it a shorter name"
            )
    if len(set(names)) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise PermanentError(f"{source.label} has {names.count(name)} columns named {name!r}: rename all but one")


def content_hash(paths: Sequence[Readable]) -> str:
    """SHA-256 of files, one after another."""
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()
