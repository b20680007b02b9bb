"""A table on pages: every line is placed here, so that Typst sets a column of a page as one text.

Typst's own table lays out each cell for itself: 10,000 rows of six took 3.6 s and 830 MB there, 0.5 s and 120 MB this way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from redrive.flows.reports.fonts import Widths, drawable, widths
from redrive.flows.reports.lines import lines, one_line
from redrive.flows.reports.sheet import GAP, Sheet, chosen, natural
from redrive.flows.reports.view import ReportView

#: Rows of the PDF: some 450 pages. Nobody turns more of them, and the XLSX has all.
ROWS_LIMIT = 20_000
#: Rows by whose content columns are measured; later rows are broken or, if they are numbers, widen nothing.
#: Points between lines of a cell and around a row, by type size.
PITCH, PAD = 1.3, 0.65
#: Points: height that a page leaves for the table.
HEIGHT_PORTRAIT, HEIGHT_LANDSCAPE = 725.0, 480.0
#: Rows that a first page must have room for; else the table begins on the next.
FIRST_ROWS = 3


@dataclass
class Table:
    """A report's table, measured and broken into lines."""

    sheet: Sheet
    sides: list[str]
    headings: list[tuple[str, str]]
    rows: list[list[str]]
    totals: list[str]
    shown: int
    missing: set[str] = field(default_factory=set)
    cut: int = 0

    @property
    def pitch(self) -> float:
        return self.sheet.size * PITCH

    @property
    def pad(self) -> float:
        return self.sheet.size * PAD

    @property
    def height(self) -> float:
        return HEIGHT_LANDSCAPE if self.sheet.landscape else HEIGHT_PORTRAIT


def table(view: ReportView) -> Table:
    """The table's texts and its sheet."""
    missing: set[str] = set()
    rows = [[drawable(cell, missing) for cell in row] for row in islice(view.cells(), ROWS_LIMIT)]
    totals = [drawable(cell, missing) for cell in view.total_cells()]
    headings = [(drawable(c.heading, missing), drawable(c.unit, missing)) for c in view.columns]
    numbers = [view.is_number(column) for column in view.columns]
    columns = []
    for place, column in enumerate(view.columns):
        texts = [row[place] for row in rows] + ([totals[place]] if totals else [])
        wraps = not numbers[place] and column.format in {"auto", "text"}
        columns.append(natural(texts, *headings[place], wraps=wraps))
    sides = ["end" if number else _side(row[place] for row in rows) for place, number in enumerate(numbers)]
    return Table(chosen(columns), sides, headings, rows, totals, len(rows), missing)


def blocks(made: Table, first_room: float) -> Iterator[dict[str, Any]]:
    """Blocks of the table, one a page: height, and what stands where in it.

    Args:
        first_room: points left on the page where the table begins.
    """
    count = len(made.sheet.parts)
    for number, (part, wide) in enumerate(zip(made.sheet.parts, made.sheet.widths, strict=True)):
        caption = f"Columns {part[1] + 1}–{part[-1] + 1} of {len(made.headings)}" if count > 1 else ""
        yield from _Part(made, part, wide, caption).blocks(first_room if number == 0 else made.height)


class _Part:
    """Some columns of the table, over as many pages as its rows need."""

    def __init__(self, made: Table, part: Sequence[int], wide: Sequence[float], caption: str) -> None:
        self._made, self._part, self._wide, self._caption = made, part, wide, caption
        slack = max(0.0, made.sheet.across - sum(wide) - GAP * (len(wide) - 1))
        # Room that is left goes between the columns, up to a width across which the eye still finds its line.
        gap = GAP + min(slack / max(1, len(wide) - 1), GAP * 3)
        self._left = [sum(wide[:n]) + gap * n for n in range(len(wide))]
        self._across = self._left[-1] + wide[-1]
        self._headings, self._head_height = self._headed()

    def blocks(self, room: float) -> Iterator[dict[str, Any]]:
        made, size = self._made, self._made.sheet.size
        single = made.pitch + made.pad
        if room < self._head_height + FIRST_ROWS * single:
            room = made.height
            yield self._block([], 0.0, new_page=False)
        page = _Page(self, self._head_height)
        fresh = False
        for row in [*made.rows, *([made.totals] if made.totals else [])]:
            total = row is made.totals
            broken, height = [], 1
            for place, wide in zip(self._part, self._wide, strict=True):
                measure = widths(strong=total)
                found, cut = self._broken(row[place], place, wide / size, measure)
                made.cut += cut
                broken.append(found)
                height = max(height, len(found))
            tall = height * made.pitch + made.pad
            if page.used + tall > room and page.rows:
                yield self._block(page.runs(), page.used, new_page=fresh, rules=page.rules)
                page, fresh, room = _Page(self, self._head_height), True, made.height
            page.add(broken, height, tall, total=total)
        yield self._block(page.runs(), page.used, new_page=fresh, rules=page.rules)

    def _broken(self, text: str, place: int, width: float, measure: Widths) -> tuple[list[str], bool]:
        if self._made.sides[place] == "end":
            # A number is never broken; that it is cut happens only where it is longer than half a page.
            found, cut = one_line(text, width, measure)
            return [found], cut
        return lines(text, width, measure)

    def _headed(self) -> tuple[list[dict[str, Any]], float]:
        made, size = self._made, self._made.sheet.size
        strong, plain = widths(strong=True), widths()
        cells, height = [], 1
        for place, wide in zip(self._part, self._wide, strict=True):
            label, unit = made.headings[place]
            named, _ = lines(label, wide / size, strong, limit=6)
            units = lines(unit, wide / size, plain, limit=2)[0] if unit else []
            cells.append((named, units))
            height = max(height, len(named) + len(units))
        top = made.pitch + made.pad if self._caption else 0.0
        found = []
        for n, (named, units) in enumerate(cells):
            y = top + (height - len(named) - len(units)) * made.pitch
            found.append(self.text(n, y, "\n".join(named), "head"))
            if units:
                found.append(self.text(n, y + len(named) * made.pitch, "\n".join(units), "unit"))
        return found, top + height * made.pitch + made.pad

    def text(self, n: int, y: float, text: str, look: str) -> dict[str, Any]:
        return {
            "x": round(self._left[n], 2), "w": round(self._wide[n], 2), "y": round(y, 2), "t": text, "k": look,
            "s": self._made.sides[self._part[n]],
        }  # fmt: skip

    def _block(
        self, texts: list[dict[str, Any]], height: float, *, new_page: bool, rules: list[float] | None = None
    ) -> dict[str, Any]:
        return {
            "break": new_page or not texts,
            "height": round(height, 2),
            "across": round(self._across, 2),
            "caption": self._caption,
            "head": round(self._head_height, 2),
            "texts": [*self._headings, *texts] if texts else [],
            "rules": [round(y, 2) for y in rules or []],
        }


class _Page:
    """What gathers on one page: rows of one line run together into one text per column."""

    def __init__(self, part: _Part, top: float) -> None:
        self._part, self.used = part, top
        self.rows = 0
        self.rules: list[float] = []
        self._texts: list[dict[str, Any]] = []
        self._run: list[list[str]] = []
        self._run_top = top

    def add(self, broken: list[list[str]], height: int, tall: float, *, total: bool) -> None:
        if height == 1 and not total:
            if not self._run:
                self._run_top = self.used
            self._run.append([cell[0] for cell in broken])
        else:
            self._end_run()
            look = "total" if total else "cell"
            self._texts += [self._part.text(n, self.used, "\n".join(c), look) for n, c in enumerate(broken) if any(c)]
        self.used += tall
        self.rows += 1
        self.rules.append(self.used)

    def runs(self) -> list[dict[str, Any]]:
        self._end_run()
        return self._texts

    def _end_run(self) -> None:
        for n, column in enumerate(zip(*self._run, strict=True)):
            self._texts.append(self._part.text(n, self._run_top, "\n".join(column), "run"))
        self._run = []


def _side(texts: Iterator[str]) -> str:
    """`rtl` for a column of Arabic or Hebrew, by its first texts; else `start`."""
    for text in islice(texts, 50):
        for char in text:
            if "\u0590" <= char <= "\u08ff" or "\ufb1d" <= char <= "\ufefc":
                return "rtl"
            if char.isalpha():
                return "start"
    return "start"
