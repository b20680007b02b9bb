"""JSON: a list of objects, an object whose one list of objects is meant (`{"data": [...]}`), or one object a line (NDJSON).

Read twice as a stream, once for the columns and once for the rows: a file of any size takes no more memory than its largest row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import ijson

from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.source.rows_as_csv import plain, records
from redrive.flows.sync.source.source import Readable, Since, Source, content_hash

_NO_LIST = "is no list of JSON objects: a sync needs [{...}, ...], one list in an object, or one object a line"


#: Where services say how many rows or pages there are in all; `total` may also be a sum, `count` that of this page.
_TOTAL = re.compile(
    r"(^|\.)(total_?(count|results|items|rows|records|elements|hits)|records_?total|@odata\.count|count)$",
    re.IGNORECASE,
)
_MAYBE_TOTAL = re.compile(r"(^|\.)total$", re.IGNORECASE)
_PAGING = re.compile(r"(^|\.)((current_?)?page|(page_?|per_?)(size|page)|limit|offset|skip|start)$", re.IGNORECASE)
_PAGES = re.compile(r"(^|\.)(total_?pages|page_?count|num_?pages|pages|last_?page)$", re.IGNORECASE)


@dataclass
class Shape:
    """What a file of JSON is, told from all of it."""

    #: Where the rows are, as ijson names it; None if there are none to be found.
    rows: str | None = None
    columns: dict[str, None] = field(default_factory=dict)
    #: What stands beside the list, by its path: where services put the address of the next page, and how many rows there are.
    beside: dict[str, Any] = field(default_factory=dict)
    count: int = 0


class JsonSource(Source):
    """One file, or the pages of one source."""

    def __init__(self, paths: Sequence[Readable], label: str, *, lines: bool = False) -> None:
        super().__init__(label)
        self._paths = paths
        self._shapes = [self.shape(path, label, lines=lines) for path in paths]
        self._columns = list(dict.fromkeys(name for shape in self._shapes for name in shape.columns))

    @property
    def columns(self) -> list[str]:
        return self._columns

    def blocks(self, *, since: Since | None = None) -> Iterator[bytes]:  # noqa: ARG002  (all of it must be read anyway)
        yield from records(self._rows())

    def fingerprint(self) -> str | None:
        return content_hash(self._paths)

    def more_than_sent(self) -> Iterator[str]:
        """Sentences about rows or pages that the source says it has and did not send."""
        sent, beside = sum(shape.count for shape in self._shapes), self._shapes[0].beside
        paged = any(_PAGING.search(place) for place in beside)
        for place, value in beside.items():
            if isinstance(value, bool) or not isinstance(value, int):
                continue
            if value > sent and (_TOTAL.search(place) or (paged and _MAYBE_TOTAL.search(place))):
                yield f"{self.label} says that there are {value:,} rows ({place}), and sent {sent:,}: ask for all of them"
            if value > len(self._shapes) and _PAGES.search(place):
                yield f"{self.label} says that there are {value:,} pages ({place}), and {len(self._shapes):,} were found: ask for all rows"

    def _rows(self) -> Iterator[list[str | None]]:
        names = self._columns
        for path, shape in zip(self._paths, self._shapes, strict=True):
            with path.open("rb") as file, _explained(self.label):
                for row in ijson.items(file, shape.rows, multiple_values=shape.rows == "", use_float=False):
                    yield [plain(row.get(name)) for name in names]

    @staticmethod
    def shape(path: Readable, label: str, *, lines: bool = False) -> Shape:
        """Look through a file.

        Args:
            lines: whether it is known to be one object a line.

        Raises:
            PermanentError: no JSON, or none that has rows.
        """
        with path.open("rb") as file, _explained(label):
            return _shape(file, label, lines=lines)


def _shape(file: BinaryIO, label: str, *, lines: bool) -> Shape:  # noqa: C901  (one walk over the events, and each kind of them once)
    whole, listed = Shape(rows=""), Shape()
    path: list[str] = []
    tops = 0
    first = ""
    lists: list[str] = []
    wrong = False
    for event, value in ijson.basic_parse(file, multiple_values=True, use_float=False):
        depth = len(path)
        if event == "map_key":
            path[-1] = value
            if depth == 1 and first == "start_map":
                whole.columns[value] = None
            elif depth == _row_depth(first, lists, path):
                listed.columns[value] = None
            continue
        if depth == 0:
            tops += 1
            first = first or event
            wrong = wrong or event not in {"start_map", "start_array"} or (tops > 1 and event != "start_map")
        elif event == "start_array" and depth == 1 and first == "start_map" and tops == 1:
            lists.append(path[0])
        elif event not in {"end_map", "end_array"} and _is_row_place(first, lists, path):
            wrong = wrong or (tops == 1 and event != "start_map")
            listed.count += 1
        if event in {"start_map", "start_array"}:
            path.append("")
        elif event in {"end_map", "end_array"}:
            path.pop()
        elif first == "start_map" and tops == 1 and depth <= 3 and not (lists and path[0] == lists[-1]):  # noqa: PLR2004
            listed.beside[".".join(path)] = value
    if first == "start_map" and (lines or tops > 1) and not (wrong and lines):
        return whole
    if wrong or tops != 1 or (first == "start_map" and len(lists) != 1) or (lists and "." in lists[0]):
        raise PermanentError(f"{label} {_NO_LIST}")
    listed.rows = "item" if first == "start_array" else f"{lists[0]}.item"
    return listed


def _row_depth(first: str, lists: list[str], path: list[str]) -> int:
    """How deep the keys of rows lie, for a key found at this path."""
    if first == "start_array":
        return 2
    return 3 if lists and path[0] == lists[-1] else -1


def _is_row_place(first: str, lists: list[str], path: list[str]) -> bool:
    return len(path) == (1 if first == "start_array" else 2) and (first == "start_array" or path[0] in lists[-1:])


@contextmanager
def _explained(label: str) -> Iterator[None]:
    try:
        yield
    except (ijson.JSONError, ijson.IncompleteJSONError, UnicodeError, json.JSONDecodeError) as error:
        message = " ".join(str(error).split())[:200]
        raise PermanentError(f"{label} is no proper JSON ({message}): check what it answers") from None
    except (RecursionError, ValueError, OverflowError) as error:
        raise PermanentError(
            f"{label} holds JSON that cannot be read ({str(error)[:200]}): check what it answers"
        ) from None
