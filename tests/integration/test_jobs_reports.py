"""Reports over a real PostgreSQL, looked at in every format."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pypdfium2
import pytest
from pydantic import SecretStr

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.warehouse import Warehouse
from redrive.flows.reports.chart import specification
from redrive.flows.reports.definition import ReportDefinition
from redrive.flows.reports.page import page
from redrive.flows.reports.pdf import pdf
from redrive.flows.reports.view import ReportView
from redrive.flows.reports.workbook import workbook
from redrive.flows.sync.source.opened import opened
from redrive.flows.sync.table.merge import merge
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401  (a fixture)
from tests.support.report_views import report, seen

SAMPLES = Path(__file__).resolve().parents[2] / "flows" / "samples"


@pytest.fixture(scope="module")
def warehouse(postgres_server: PostgresServer) -> Warehouse:  # noqa: F811  (the fixture)
    block = Warehouse(url=SecretStr(postgres_server.database()))
    with opened(str(SAMPLES / "data" / "seattle-weather.csv")) as source, block.connect() as connection:
        merge(connection, source, table="seattle_weather", key=["date"])
    return block


def sample(warehouse: Warehouse, **parameters: Any) -> ReportView:
    return seen(warehouse, ReportDefinition.load(SAMPLES / "reports" / "seattle-weather.yaml"), **parameters)


def made_pdf(view: ReportView) -> bytes:
    return pdf(view)[0]


def text_of(content: bytes) -> tuple[int, str]:
    with pypdfium2.PdfDocument(content) as document:
        pages = len(document)
        texts = []
        for number in range(pages):
            sheet = document[number]
            words = sheet.get_textpage()
            texts.append(words.get_text_bounded())
            words.close()
            sheet.close()
    return pages, "\n".join(texts)


def test_sample_report_has_the_years_figures(warehouse: Warehouse):
    view = sample(warehouse)
    assert view.title == "Seattle weather 2015"
    assert [(f.label, f.value, f.unit, f.note) for f in view.figures] == [
        ("Rain in the year", "1,139", "mm", "+4\u00a0% against 1,096\u00a0mm"),
        ("Warmest month", "28.1", "°C", "July 2015"),
        ("Coldest month", "3.5", "°C", "November 2015"),
        ("Wettest month", "285", "mm", "December 2015"),
    ]
    assert len(view.rows) == 12


def test_parameter_chooses_another_year(warehouse: Warehouse):
    assert sample(warehouse, year=2013).title == "Seattle weather 2013"


def test_first_year_has_nothing_to_be_compared_with(warehouse: Warehouse):
    view = sample(warehouse, year=2012)
    assert view.subtitle.endswith("compared with no earlier year")
    assert view.figures[0].note == ""
    assert text_of(made_pdf(view))[0] == 1


def test_pdf_is_one_page_with_title_figures_and_source(warehouse: Warehouse):
    pages, text = text_of(made_pdf(sample(warehouse)))
    assert pages == 1
    for words in ("Seattle weather 2015", "December 2015", "Source: NOAA", "Page 1 of 1", "Jan", "1,139.2"):
        assert words in text


def test_few_points_are_labelled_each_and_many_get_a_time_axis(warehouse: Warehouse):
    few = sample(warehouse)
    assert specification(few.charts[0], few, width=400, height=200)["encoding"]["x"]["type"] == "ordinal"
    many = seen(
        warehouse,
        report(
            "select date, temp_max from seattle_weather limit 90",
            [{"name": "date", "format": "date"}, {"name": "temp_max"}],
            charts=[{"title": "T", "x": "date", "series": [{"column": "temp_max"}]}],
        ),
    )
    assert specification(many.charts[0], many, width=400, height=200)["encoding"]["x"]["type"] == "quantitative"
    assert text_of(made_pdf(many))[0] >= 2


def test_long_table_goes_on_with_its_heading_repeated(warehouse: Warehouse):
    view = seen(
        warehouse,
        report(
            "select date, temp_max from seattle_weather where date < '2012-06-01'",
            [{"name": "date", "format": "date"}, {"name": "temp_max", "label": "Highest"}],
        ),
    )
    pages, text = text_of(made_pdf(view))
    assert pages > 2
    assert text.count("Highest") == pages


def test_pdf_of_equal_content_is_equal(warehouse: Warehouse):
    view = sample(warehouse)
    assert pdf(view) == pdf(view)


def test_html_stands_alone_and_escapes_what_it_shows(warehouse: Warehouse):
    view = seen(warehouse, report("select '<script>alert(1)</script>' as word", [{"name": "word"}]))
    html = page(view)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert page(sample(warehouse)).count('<svg class="wide"') == 2
    assert "http://" not in page(sample(warehouse)).replace("http://www.w3.org", "")


def test_workbook_has_real_dates_numbers_and_total(warehouse: Warehouse):
    book = openpyxl.load_workbook(io.BytesIO(workbook(sample(warehouse))[0]))
    sheet = book["Report"]
    assert sheet["A1"].value == "Seattle weather 2015"
    assert sheet["A5"].value == datetime.fromisoformat("2015-01-01")
    assert sheet["A5"].number_format == "mmmm yyyy"
    assert sheet["D5"].value == pytest.approx(93.0)
    assert sheet["D5"].number_format == "#,##0.0"
    assert sheet["D17"].value == "=SUBTOTAL(109,D5:D16)"
    assert sheet.freeze_panes == "B5"


def test_text_that_looks_like_a_formula_stays_text(warehouse: Warehouse):
    view = seen(warehouse, report("""select '=HYPERLINK("http://evil","x")' as word""", [{"name": "word"}]))
    cell = openpyxl.load_workbook(io.BytesIO(workbook(view)[0]))["Report"]["A5"]
    assert (cell.value, cell.data_type) == ('=HYPERLINK("http://evil","x")', "s")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select * from nothing_here", r'relation "nothing_here" does not exist; run the sync that makes it first'),
        ("select 1 as x; drop table seattle_weather", "cannot insert multiple commands"),
        (
            "with gone as (delete from seattle_weather returning 1) select 1 as x",
            "must not contain data-modifying statements",
        ),
        ("select 1 as y", "has no column 'x'; it has y"),
        ("select 'one' as x", "it must be numbers"),
        ("selekt 1", "must be one SELECT"),
    ],
)
def test_query_that_cannot_work_is_a_permanent_error(warehouse: Warehouse, query: str, said: str):
    with pytest.raises((PermanentError, ValueError), match=said):
        seen(warehouse, report(query, [{"name": "x", "total": "sum"}]))
    with warehouse.connect() as connection:
        assert connection.execute("select count(*) from seattle_weather").fetchone() == (1461,)


def test_query_that_finds_nothing_is_a_report_that_says_so(warehouse: Warehouse):
    view = seen(
        warehouse,
        report(
            "select 1 as x, 'y' as word where %(year)s::int < 0",
            [{"name": "x", "total": "sum"}],
            parameters={"year": 1999},
            figures=[{"label": "X", "column": "x", "take": "sum"}],
            charts=[{"title": "T", "x": "word", "series": [{"column": "x"}]}],
        ),
    )
    assert view.nothing == "Nothing was found for year 1999."
    assert view.figures[0].value == "\u2013"
    assert "Nothing was found for year 1999." in text_of(made_pdf(view))[1]


def test_definition_may_ask_for_an_error_when_nothing_is_found(warehouse: Warehouse):
    with pytest.raises(PermanentError, match="found nothing"):
        seen(warehouse, report("select 1 as x where false", [{"name": "x"}], empty="error"))


def test_query_with_too_many_rows_is_stopped_while_it_is_read(warehouse: Warehouse):
    with pytest.raises(PermanentError, match="more than 50,000 rows"):
        seen(warehouse, report("select n as x from generate_series(1, 100000000) n", [{"name": "x"}]))
