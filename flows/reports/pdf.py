"""A report as PDF, set by Typst in one page or more.

Danger: `root` confines what the template may read to a private folder; the fonts are ours, so it looks the same everywhere.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import orjson
import typst

from redrive.blocks.core.counted import counted
from redrive.flows.reports.chart import charts_of
from redrive.flows.reports.fonts import FACES, FONTS, drawable
from redrive.flows.reports.legend import swatch
from redrive.flows.reports.paper import ROWS_LIMIT, Table, blocks, table
from redrive.flows.reports.sheet import CUT, SIZE
from redrive.flows.reports.values import clean
from redrive.flows.reports.view import ReportView

TEMPLATE = Path(__file__).resolve().parent / "templates" / "report.typ"
#: Pixels of a chart's plot: beside another one, alone over the whole width, and alone on a page that is turned.
HALF, WHOLE, TURNED = (330, 210), (690, 230), (1030, 270)
#: Rows up to which the PDF is tagged for screen readers; tags take as much memory as the texts.
TAGGED_LIMIT = 2_000
#: Characters without a glyph that are named; the others are counted.
NAMED = 8


def pdf(view: ReportView) -> tuple[bytes, tuple[str, ...]]:
    """The report as PDF, and what it had to leave out or change, in sentences."""
    made = table(view)
    missing = made.missing
    charts = charts_of(view, lambda alone: (TURNED if made.sheet.landscape else WHOLE) if alone else HALF)
    with tempfile.TemporaryDirectory(prefix="redrive-report-") as private:
        folder = Path(private)
        shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)
        head = _head(view, made, charts, folder, missing)
        _write(folder, {**head, "blocks": [], "notes": []})
        laid = list(blocks(made, made.height - _query(folder, "start"))) if view.rows else []
        message = tuple(_notices(view, made))
        _write(folder, {**head, "blocks": laid, "notes": [drawable(note, missing) for note in (*view.notes, *message)]})
        content = typst.compile(
            str(folder / TEMPLATE.name), pdf_tags=len(view.rows) <= TAGGED_LIMIT, **_options(private)
        )
    return bytes(content), message


def _options(private: str) -> dict[str, Any]:
    return {"root": private, "font_paths": [str(FONTS)], "ignore_system_fonts": True}


def _query(folder: Path, label: str) -> float:
    """Points from the top of the page's text to where the table begins."""
    found = typst.query(str(folder / TEMPLATE.name), f"<{label}>", field="value", one=True, **_options(str(folder)))
    return float(orjson.loads(found))


def _write(folder: Path, content: dict[str, Any]) -> None:
    (folder / "report.json").write_bytes(orjson.dumps(content))


def _notices(view: ReportView, made: Table) -> list[str]:
    message = []
    if made.shown < len(view.rows):
        message.append(
            f"The PDF shows the first {made.shown:,} of {len(view.rows):,} rows ({ROWS_LIMIT:,} at most); the XLSX has all."
        )
    parts = len(made.sheet.parts)
    if parts > 1:
        message.append(f"The table is wider than a page: its columns stand in {parts} parts, the first one in each.")
    elif made.sheet.size < SIZE:
        message.append(f"The table is set in {made.sheet.size:g} points instead of {SIZE:g} to fit the page.")
    if made.cut:
        them = "it" if made.cut == 1 else "them"
        message.append(
            f"Cut to fit and marked with {CUT}: {counted(made.cut, 'value')}; HTML and XLSX have {them} whole."
        )
    if made.missing:
        named = ", ".join(f"U+{ord(char):04X}" for char in sorted(made.missing)[:NAMED])
        more = f" and {len(made.missing) - NAMED:,} more" if len(made.missing) > NAMED else ""
        message.append(f"The PDF's fonts lack {named}{more}, shown as \ufffd; HTML and XLSX have them.")
    return message


def _head(view: ReportView, made: Table, charts: list[Any], folder: Path, missing: set[str]) -> dict[str, Any]:
    def safe(text: str) -> str:
        return drawable(clean(text), missing)

    drawn = []
    for number, chart in enumerate(charts, 1):
        (folder / f"chart-{number}.svg").write_text(chart.svg, encoding="utf-8")
        legend = []
        for place, series in enumerate(chart.legend):
            file = f"swatch-{number}-{place}.svg"
            (folder / file).write_text(swatch(series), encoding="utf-8")
            legend.append({"file": file, "name": safe(series.name)})
        drawn.append({
            "title": safe(chart.title), "unit": safe(chart.unit), "note": safe(chart.note), "alone": chart.alone,
            "file": f"chart-{number}.svg", "legend": legend,
        })  # fmt: skip
    formats, there = view.formats, view.formats.local(view.as_of)
    return {
        "title": safe(view.title),
        "subtitle": safe(view.subtitle),
        "date": formats.day(there),
        "time": formats.stamp(view.as_of),
        "stamp": [there.year, there.month, there.day],
        "lang": formats.language,
        "rtl": formats.rtl,
        "fonts": [face.family for face in FACES],
        "landscape": made.sheet.landscape,
        "size": made.sheet.size,
        "pitch": made.pitch,
        "pad": made.pad,
        "figures": [{key: safe(text) for key, text in figure.model_dump().items()} for figure in view.figures],
        "charts": drawn,
        "nothing": safe(view.nothing),
        "source": safe(view.source),
    }
