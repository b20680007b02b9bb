"""How a table stands on paper: columns measured from their content, the page turned, the type smaller or the table split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redrive.flows.reports.fonts import widths

#: Points: what A4 leaves between its margins, upright and turned.
PORTRAIT, LANDSCAPE = 487.5, 734.0
#: Type sizes in points; nothing is set smaller than the last.
SIZE, SMALLEST = 8.5, 6.5
SIZES = (SIZE, 7.5, SMALLEST)
#: Points between two columns.
GAP = 12.0
#: Em: a text column is not made narrower than this, and is comfortable from here on.
NARROW, COMFORTABLE = 10.0, 20.0
#: Em: a longer line is tiring to read.
LONGEST_LINE = 46.0
#: Em: headings may be broken down to this.
HEADING = 4.5
#: Lines of one cell; what is longer is cut with a mark.
LINES_LIMIT = 8
CUT = "…"
#: Our measure leaves out how letters join; this much more keeps every line inside its column.
SLACK = 1.02


@dataclass(frozen=True, kw_only=True)
class Natural:
    """A column by its content, in em: what it would like, and what it can do with."""

    wanted: float
    least: float


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The chosen page: `parts` are groups of columns by place, each with the widths in points that stand beside them."""

    landscape: bool
    size: float
    parts: tuple[tuple[int, ...], ...]
    widths: tuple[tuple[float, ...], ...]

    @property
    def across(self) -> float:
        return LANDSCAPE if self.landscape else PORTRAIT


def natural(cells: Sequence[str], heading: str, unit: str, *, wraps: bool) -> Natural:
    """Width of a column from its texts.

    Args:
        wraps: whether its texts may be broken; numbers and dates may not.
    """
    measure = widths().of
    longest = max((max(map(measure, cell.split("\n"))) for cell in set(cells)), default=0.0)
    strong = widths(strong=True)
    words = max([strong.of(word) for word in heading.split()] + [widths().of(unit), 1.0])
    named = max(words, min(strong.of(heading), HEADING))
    if not wraps:
        return Natural(
            wanted=max(longest, words, min(strong.of(heading), 9.0)) * SLACK, least=max(longest, named) * SLACK
        )
    wanted = max(min(longest, LONGEST_LINE), min(strong.of(heading), COMFORTABLE), words)
    return Natural(wanted=wanted * SLACK, least=max(min(wanted, NARROW), min(words, NARROW)) * SLACK)


def chosen(columns: Sequence[Natural]) -> Sheet:
    """The first page that the columns fit on; if none does, the table is split at the normal size."""
    every = tuple(range(len(columns)))
    comfortable = [Natural(wanted=c.wanted, least=min(c.wanted, max(c.least, COMFORTABLE))) for c in columns]
    wanted = [Natural(wanted=c.wanted, least=c.wanted) for c in columns]
    tries: list[tuple[bool, float, Sequence[Natural]]] = [
        (False, SIZE, wanted),
        (False, SIZE, comfortable),
        (True, SIZE, wanted),
        (True, SIZE, comfortable),
    ]
    tries += [(True, size, columns) for size in SIZES]
    for landscape, size, asked in tries:
        across = LANDSCAPE if landscape else PORTRAIT
        if fitted := _fitted(asked, size, across):
            return Sheet(landscape=landscape, size=size, parts=(every,), widths=(fitted,))
    return _split(columns)


def _fitted(columns: Sequence[Natural], size: float, across: float) -> tuple[float, ...] | None:
    """Widths in points, none below its least, together exactly the page; None if that cannot be."""
    free = across - GAP * (len(columns) - 1)
    least = [column.least * size for column in columns]
    wanted = [max(column.wanted * size, low) for column, low in zip(columns, least, strict=True)]
    if sum(least) > free:
        return None
    if sum(wanted) <= free:
        return tuple(wanted)
    share = (free - sum(least)) / (sum(wanted) - sum(least))
    return tuple(low + (high - low) * share for low, high in zip(least, wanted, strict=True))


def _split(columns: Sequence[Natural]) -> Sheet:
    """Groups of columns, the first one repeated in each, so that every line says what it is about."""
    size = SIZE

    def points(place: int) -> float:
        return min(columns[place].least * size, LANDSCAPE / 2 - GAP)

    parts: list[tuple[int, ...]] = []
    group, used = [0], points(0)
    for place in range(1, len(columns)):
        needs = points(place) + GAP
        if used + needs > LANDSCAPE and len(group) > 1:
            parts.append(tuple(group))
            group, used = [0], points(0)
        group.append(place)
        used += needs
    parts.append(tuple(group))
    found = []
    for part in parts:
        held = [Natural(wanted=columns[n].wanted, least=min(columns[n].least, points(n) / size)) for n in part]
        found.append(_fitted(held, size, LANDSCAPE) or tuple(points(n) for n in part))
    return Sheet(landscape=True, size=size, parts=tuple(parts), widths=tuple(found))
