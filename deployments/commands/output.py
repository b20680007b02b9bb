"""How commands print: a table for people, JSON for scripts, times and durations in one form.

Danger: JSON goes to standard output alone; anything said to people beside it goes to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Columns where standard output is no terminal: a pipe has no edge, but a table needs one.
PIPE_WIDTH = 200

#: Lengths an id is shown in, at the end of its groups of digits: those made within a minute may begin alike.
ID_LENGTHS = (8, 13, 18, 23)

#: Blanks between two columns, and the fewest characters the last one shows.
GAP = 3
MINIMUM = 16

out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Any of our values as JSON, times in ISO 8601."""
    out.print(json.dumps(_plain(value), indent=2, default=str, ensure_ascii=False), markup=False, soft_wrap=True)


def print_table(columns: Mapping[str, str], rows: Iterable[Sequence[object]], *, none: str) -> None:
    """A table; `columns` are headings with their justification; `none` is said instead of an empty one."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
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


def span(seconds: float | timedelta) -> str:
    """`0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    value = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    for limit, unit, divisor in ((10, "s", 1.0), (90, "s", 1.0), (5400, "min", 60.0), (172800, "h", 3600.0)):
        if value < limit:
            return f"{value / divisor:.1f} {unit}" if limit == 10 else f"{value / divisor:.0f} {unit}"  # noqa: PLR2004
    return f"{value / 86400:.0f} d"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        # Not `asdict`, which leaves what a dataclass holds of pydantic as it is.
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value
