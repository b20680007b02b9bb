"""Report definitions: what is refused, and how values are written."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from redrive.blocks.core.errors import PermanentError
from redrive.flows.reports.definition import Column, ReportDefinition
from redrive.flows.reports.time_axis import instant, labels
from redrive.flows.reports.values import Formats

SAMPLE = Path(__file__).resolve().parents[2] / "flows" / "samples" / "reports" / "seattle-weather.yaml"
BARE = "name: a\ntitle: A\nsource: us\ncolumns: [{name: x}]\n"


def test_sample_definition_fits():
    assert ReportDefinition.load(SAMPLE).name == "seattle-weather"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1\n", "is empty or a list"),
        ("a: [", "is no proper YAML"),
        (BARE, "query: Field required"),
        (f"{BARE}query: truncate x\n", "must be one SELECT"),
        (BARE + "query: select 1\nfigurs: []\n", "figurs: Extra inputs are not permitted"),
        (BARE.replace("name: a", "name: A b") + "query: select 1\n", "name: String should match"),
    ],
)
def test_definition_that_does_not_fit_is_refused_by_field(tmp_path: Path, text: str, said: str):
    (tmp_path / "report.yaml").write_text(text)
    with pytest.raises(PermanentError, match=said):
        ReportDefinition.load(tmp_path / "report.yaml")


def test_missing_definition_is_named(tmp_path: Path):
    with pytest.raises(PermanentError, match=r"report definition .*nothing\.yaml does not exist"):
        ReportDefinition.load(tmp_path / "nothing.yaml")


def test_unknown_parameter_gets_the_nearest_known_one():
    with pytest.raises(PermanentError, match="no parameter 'yaer'; did you mean year"):
        ReportDefinition.load(SAMPLE).with_parameters({"yaer": 2013})


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (1234.5, {"decimals": 1}, "1,234.5"),
        (-0.04, {"decimals": 1}, "0.0"),
        (284.5, {}, "285"),
        ("284.5", {}, "285"),
        (-0.125, {"decimals": 2}, "\u22120.13"),
        (-3, {}, "\u22123"),
        (3, {"signed": True}, "+3"),
        (0, {"signed": True}, "0"),
        (-0.0, {}, "0"),
        (1e300, {}, "1×10³⁰⁰"),
        (-1.25e22, {"decimals": 2}, "\u22121.25×10²²"),
        (float("-inf"), {}, "\u2212∞"),
        (float("nan"), {}, "NaN"),
        ("-1234567890123456.78", {"decimals": 2}, "\u22121,234,567,890,123,456.78"),
    ],
)
def test_numbers_are_written_for_people(value: float | str, options: dict[str, int], text: str):
    assert Formats().number(value, **options) == text


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        ("2015-03-01", Column(name="x", format="month"), "March 2015"),
        ("2015-03-01", Column(name="x", format="date"), "1 March 2015"),
        ("2015-03-01", Column(name="x"), "2015-03-01"),
        (None, Column(name="x"), "–"),
        (0.256, Column(name="x", format="percent", decimals=1), "25.6\u00a0%"),
        (7, Column(name="x", format="text"), "7"),
        (True, Column(name="x"), "yes"),
    ],
)
def test_cells_follow_their_columns_format(value: object, column: Column, text: str):
    assert Formats().shown(value, column) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("de_DE", "\u22121.234.567,5"),
        ("hi_IN", "\u221212,34,567.5"),
        ("fr", "\u22121\u00a0234\u00a0567,5"),
        ("en_US", "\u22121,234,567.5"),
    ],
)
def test_numbers_follow_the_locale(locale: str, text: str):
    assert Formats(locale).number(-1234567.5, 1) == text


def test_dates_follow_locale_and_time_zone():
    column = Column(name="x", format="time")
    berlin = Formats("de_DE", "Europe/Berlin")
    assert berlin.shown("2026-06-30T23:30:00+00:00", column) == "1. Juli 2026, 01:30"
    assert Formats("en_US").shown("2026-06-30T15:30:00+00:00", column) == "June 30, 2026, 3:30\u00a0PM"


def test_the_hour_an_autumn_day_has_twice_is_distinguished():
    column = Column(name="x", format="time")
    berlin = Formats("de_DE", "Europe/Berlin")
    times = [berlin.shown(f"2026-10-25T{hour}:30:00+00:00", column) for hour in ("00", "01", "02")]
    assert [text.partition(", ")[2] for text in times] == ["02:30 CEST", "02:30 CET", "03:30"]


def test_a_day_of_25_hours_has_its_hours_on_the_axis():
    berlin = Formats("de_DE", "Europe/Berlin")
    first = datetime(2026, 10, 25, tzinfo=berlin.zone).timestamp()
    marked = labels(first, first + 25 * 3600, berlin, room=9)
    assert [text for _, text in marked] == [
        "25. Okt.",
        "03:00",
        "06:00",
        "09:00",
        "12:00",
        "15:00",
        "18:00",
        "21:00",
        "26. Okt.",
    ]
    assert [round((at - first) / 3600) for at, _ in marked] == [0, 4, 7, 10, 13, 16, 19, 22, 25]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-01-01", "2026-03-17"),
        ("2024-01-01", "2026-05-20"),
        ("1990-01-01", "2026-01-01"),
        ("2026-01-01", "2026-01-09"),
        ("2026-01-01", "2026-06-29"),
    ],
)
def test_an_axis_is_labelled_at_its_end_and_no_label_comes_twice(first: str, last: str):
    times = [instant(datetime.fromisoformat(day), Formats()) for day in (first, last)]
    marked = labels(times[0], times[1], Formats())
    assert 3 <= len(marked) <= 10
    assert times[1] - marked[-1][0] < 0.6 * (marked[1][0] - marked[0][0])
    assert all(text != following for (_, text), (_, following) in pairwise(marked))


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("locale: de_XX9", "there is no locale"),
        ("timezone: Europe/Berln", "did you mean Europe/Berlin"),
        ("empty: maybe", "empty: "),
    ],
)
def test_locale_zone_and_empty_are_checked(tmp_path: Path, field: str, said: str):
    (tmp_path / "report.yaml").write_text(f"{BARE}query: select 1\n{field}\n")
    with pytest.raises(PermanentError, match=said):
        ReportDefinition.load(tmp_path / "report.yaml")


def bomb(levels: int) -> str:
    lists = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels))
    return f"a0: &a0 [x, x, x, x, x, x, x, x, x]\n{lists}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (bomb(9), "values with its aliases written out"),
        ("a: &a [*a]\n", "alias that contains itself"),
        ("[" * 50_000, "nested deeper than"),
        ("a: " + "x" * 300_000, "more than 256 KB"),
        ("a: &a 1\nb: [" + "*a, " * 200 + "]\n", "more than 100 aliases"),
        ("a: " + "9" * 5_000, "is no proper YAML"),
    ],
)
def test_definition_that_would_grow_beyond_bounds_is_refused_at_once(tmp_path: Path, text: str, said: str):
    (tmp_path / "report.yaml").write_text(text)
    with pytest.raises(PermanentError, match=said):
        ReportDefinition.load(tmp_path / "report.yaml")


def test_definition_outside_of_the_allowed_folders_is_not_read():
    with pytest.raises(PermanentError, match="outside of the folders jobs may read"):
        ReportDefinition.load("/etc/passwd")
