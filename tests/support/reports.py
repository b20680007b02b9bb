"""Six reports, narrow to empty, as a definition and its rows would make them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from redrive.flows.reports.definition import Column
from redrive.flows.reports.view import ReportView

SENTENCE = "The valve on line three was replaced without a record; a follow-up was set for the next shift. "


def view(columns: list[dict[str, Any]], rows: list[tuple[Any, ...]], **more: Any) -> ReportView:
    made = tuple(Column(**column) for column in columns)
    given: dict[str, Any] = {
        "name": "test",
        "title": "A title of some length",
        "subtitle": "and what stands beneath it",
        "as_of": datetime(2026, 11, 24, 12, tzinfo=UTC),
        "figures": (),
        "charts": (),
        "columns": made,
        "names": tuple(column.name for column in made),
        "kinds": tuple("text" if column.format in {"text", "date", "month", "time"} else "number" for column in made),
        "rows": tuple(rows),
        "totals": None,
        "notes": (),
        "source": "made for a test",
    }
    return ReportView(**{**given, **more})


def texts(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "format": "text"} for name in names]


def numbers(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "decimals": 2, **more} for name in names]


def reports() -> dict[str, ReportView]:
    return {
        "narrow": view([*texts("region"), *numbers("orders")], [("North", 1234), ("South", -56.5), ("北京", 0), ("😀 ✔", 7)]),
        "wide": view(
            [*texts("plant"), *numbers(*[f"metric_number_{n}" for n in range(30)], unit="kWh")],
            [(f"plant-{r:03d}", *[(-1) ** n * (r + 1) * 10.0 ** (n % 8) / 7 for n in range(30)]) for r in range(50)],
        ),
        "long text": view(
            [*texts("number"), {"name": "day", "format": "date"}, *texts("finding", "link"), *numbers("cost")],
            [
                (f"F-{n}", f"2026-03-{n + 1:02d}", SENTENCE * (n % 3 + 1), "https://example.com/" + "x" * n * 7, -n * 1e4)
                for n in range(20)
            ],
        ),
        "many numbers": view(
            numbers("revenue", "cost", "margin", "share", "change", signed=True),
            [
                *[(n * 12345.678, -n * 999.9, n / 7, -n / 3, n * 1e6) for n in range(150)],
                (1e300, "-Infinity", "NaN", "-1234567890123456.78", -0.0),
            ],
            totals=(1e300, 1.0, -2.0, 3.0, 4.0),
        ),
        "rtl": view(
            [{"name": "city", "label": "المدينة", "format": "text"}, *numbers("sales", label="المبيعات")],
            [("القاهرة", -1234.5), ("أسيوط", 567), ("Giza", 0)],
            locale="ar_EG",
            timezone="Africa/Cairo",
            title="تقرير المبيعات",
        ),
        "empty": view([*texts("region"), *numbers("orders")], [], nothing="Nothing was found for year 1999."),
    }  # fmt: skip
