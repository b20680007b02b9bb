"""How commands print: a table for people, JSON for scripts, times, durations and numbers in one form.

Danger: JSON goes to standard output alone; anything said to people beside it goes to standard error. What is printed comes
from jobs and callers: `out` and `err` read no markup in it and let nothing through that steers a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from redrive.blocks.core.durations import span
from redrive.blocks.core.plain_text import plain_json, plain_line, plain_text

#: Columns where standard output is no terminal: a pipe has no edge, but a table needs one.
PIPE_WIDTH = 200

#: Lengths an id is shown in, at the end of its groups of digits: those made within a minute may begin alike.
ID_LENGTHS = (8, 13, 18, 23)

#: Blanks between two columns, and the fewest characters the last one shows.
GAP = 3
MINIMUM = 16


class PlainConsole(Console):
    """A console for foreign text: what a command styles is styled, the text itself is plain."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Everything that is printed comes through here, however deep in a table it stands."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain_text(segment.text), segment.style)


out = PlainConsole(width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = PlainConsole(stderr=True)


def print_json(value: Any) -> None:
    """Any of our values as JSON, times as ISO 8601 in UTC."""
    sys.stdout.write(f"{_json(value, indent=2)}\n")
    sys.stdout.flush()


def one_line(value: Any) -> str:
    """The same JSON in one line."""
    return _json(value, indent=None)


def _json(value: Any, *, indent: int | None) -> str:
    return plain_json(json.dumps(_plain(value), indent=indent, default=str, ensure_ascii=False))


def print_table(columns: Mapping[str, str], rows: Iterable[Sequence[object]], *, none: str) -> None:
    """A table; `columns` are headings with their justification; `none` is said instead of an empty one."""
    cells = [["" if cell is None else plain_line(str(cell)) for cell in row] for row in rows]
    if not cells:
        out.print(none)
        return
    widths = [max(len(heading), *(len(row[index]) for row in cells)) for index, heading in enumerate(columns)]
    # The last column gives way on a narrow terminal; an id that is cut off is of no use to anybody.
    room = max(MINIMUM, out.width - sum(widths[:-1]) - GAP * (len(widths) - 1))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading, justify in columns.items():
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # Rich's Literal of names
    for row in cells:
        last = row[-1] if len(row[-1]) <= room else row[-1][: room - 1] + "…"
        table.add_row(*(Text(cell) for cell in row[:-1]), Text(last))
    if out.is_terminal:
        out.print(table)
        return
    with out.capture() as captured:
        out.print(table)
    # A file wants no blanks up to an edge it does not have.
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def print_heading(*parts: str) -> None:
    """One line; every second part of it is bold."""
    out.print(
        Text.assemble(*((plain_line(part), "bold" if at % 2 else "") for at, part in enumerate(parts))), soft_wrap=True
    )


def print_fields(pairs: Iterable[tuple[str, object]], *, width: int) -> None:
    """`label  value` a line, the labels `width` wide; a value of several lines stays in its column. None and "" are left out."""
    for label, value in pairs:
        if value is None or value == "":
            continue
        lines = plain_text(str(value)).rstrip("\n").replace("\n", f"\n{'':<{width + 3}}")
        out.print(f"  {label:<{width}} {lines}", soft_wrap=True)


def short_ids(ids: Iterable[object]) -> list[str]:
    """Ids as a list shows them: cut to where no two of them are the same."""
    whole = [str(one) for one in ids]
    for length in ID_LENGTHS:
        cut = [one[:length] for one in whole]
        if len(set(cut)) == len(set(whole)):
            return cut
    return whole


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """`3 min ago`, `in 40 s`; empty for None."""
    if moment is None:
        return ""
    difference = ((now or datetime.now(UTC)) - moment).total_seconds()
    return f"in {span(-difference)}" if difference < 0 else f"{span(difference)} ago"


def iso(moment: datetime) -> str:
    """`2026-11-25T08:00:00.000000Z`: the one form of a time in JSON, of one width, so that it sorts as text."""
    utc = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if is_dataclass(value) and not isinstance(value, type):
        # Not `asdict`, which leaves what a dataclass holds of pydantic as it is.
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value
