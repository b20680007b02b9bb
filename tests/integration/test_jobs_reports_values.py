"""Values of a query as they come out in a report: exactly, with the decimals they have, in its time zone."""

from __future__ import annotations

import io

import openpyxl

from redrive.blocks.warehouse import Warehouse
from redrive.flows.reports.view import ReportView
from redrive.flows.reports.workbook import workbook
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401  (a fixture)
from tests.support.report_views import report, seen


def test_numbers_are_shown_with_the_decimals_they_have_unless_others_are_asked_for(warehouse: Warehouse):
    query = "select * from (values (1.99, 0.125, 7), (2.5, 0.5, 8)) as given (price, share, pieces)"
    columns = [{"name": "price"}, {"name": "share", "format": "percent"}, {"name": "pieces"}]
    assert list(seen(warehouse, report(query, columns)).cells()) == [
        ["1.99", "12.5\u00a0%", "7"],
        ["2.50", "50.0\u00a0%", "8"],
    ]
    rounded = report(query, [{"name": "price", "decimals": 0}])
    assert list(seen(warehouse, rounded).cells()) == [["2"], ["3"]]


def test_figure_is_compared_by_how_far_it_lies_from_a_negative_one(warehouse: Warehouse):
    figures = [{"label": "Low", "column": "low", "compare": "usual"}]
    view = seen(warehouse, report("select -2.0 as low, -4.0 as usual", [{"name": "low"}], figures=figures))
    assert view.figures[0].note == "+50\u00a0% against \u22124"


def test_total_of_numbers_written_as_texts_is_no_formula(warehouse: Warehouse):
    query = "select x from (values (1234567890123456.25), (-1234567890123456.00)) as given (x)"
    view = seen(warehouse, report(query, [{"name": "x", "total": "sum"}]))
    sheet = openpyxl.load_workbook(io.BytesIO(workbook(view)[0]))["Report"]
    assert sheet["A7"].value == 0.25, "as a formula it would be the sum of no numbers"


def test_two_columns_of_one_name_are_both_kept(warehouse: Warehouse):
    view = seen(warehouse, report("select 1 as x, 2 as x", [{"name": "x"}, {"name": "x_2"}]))
    assert list(view.cells()) == [["1", "2"]]


def test_numbers_arrive_exactly_and_what_is_none_by_its_name(warehouse: Warehouse):
    view = seen(
        warehouse,
        report(
            "select 1234567890123456.78::numeric as a, 'NaN'::float8 as b, '-Infinity'::float8 as c, 1e300::float8 as d,"
            " 9007199254740993::int8 as e",
            [{"name": name, "decimals": 2, "total": "sum"} for name in "abcde"],
        ),
    )
    again = ReportView.model_validate_json(view.model_dump_json())
    assert list(again.cells()) == [
        ["1,234,567,890,123,456.78", "NaN", "\u2212∞", "1×10³⁰⁰", "9,007,199,254,740,993.00"]
    ]
    assert again.total_cells() == [
        "1,234,567,890,123,456.78",
        "\u2013",
        "\u2212∞",
        "1×10³⁰⁰",
        "9,007,199,254,740,993.00",
    ]


def test_numbers_inside_of_json_arrive_digit_for_digit(warehouse: Warehouse):
    query = """select '{"a": 1.10, "b": 1234567890123456.78}'::jsonb as a, '[0.10]'::json as b"""
    view = seen(warehouse, report(query, [{"name": "a"}, {"name": "b"}]))
    assert list(view.cells()) == [['{"a": 1.10, "b": 1234567890123456.78}', "[0.10]"]]


def test_days_of_the_query_are_days_of_the_reports_time_zone(warehouse: Warehouse):
    view = seen(
        warehouse,
        report(
            "select date_trunc('day', t) as day, count(*) as hours from generate_series('2026-10-24 22:00+00'::timestamptz,"
            " '2026-10-25 22:00+00', interval '1 hour') as t group by 1 order by 1",
            [{"name": "day", "format": "date"}, {"name": "hours"}],
            timezone="Europe/Berlin",
        ),
    )
    assert list(view.cells()) == [["25 October 2026", "25"]]
