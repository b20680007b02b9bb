"""Six reports, narrow to empty, in every format: nothing is overprinted, and every value is there."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import openpyxl
import pypdfium2
import pytest
from fontTools.ttLib import TTFont

from redrive.flows.reports.chart import charts_of, specification
from redrive.flows.reports.definition import Chart, Series
from redrive.flows.reports.page import TEMPLATES, page
from redrive.flows.reports.paper import ROWS_LIMIT
from redrive.flows.reports.pdf import pdf
from redrive.flows.reports.points import POINTS_LIMIT
from redrive.flows.reports.view import ReportView
from redrive.flows.reports.workbook import workbook
from tests.support.reports import SENTENCE, numbers, reports, texts, view

#: Points: ends of letters may touch the box of a neighbour by this much without anybody seeing it.
TOUCH = 1.0
SIX = list(reports())
#: What a font's own notices say, by the licence that the README names.
LICENCES = {
    "Apache 2.0": "apache license",
    "SIL OFL 1.1": "SIL Open Font License",
    "free for any use": "free",
}


def pages_of(content: bytes) -> Iterator[tuple[str, list[tuple[float, float, float, float]]]]:
    """Text and the boxes of its pieces, page by page."""
    with pypdfium2.PdfDocument(content) as document:
        for number in range(len(document)):
            sheet = document[number]
            words = sheet.get_textpage()
            yield words.get_text_bounded(), [words.get_rect(n) for n in range(words.count_rects())]
            words.close()
            sheet.close()


def bare(text: str) -> str:
    return re.sub(r"\s|\ufffe|-?\u00ad", "", text)


@pytest.mark.parametrize("name", SIX)
def test_nothing_is_overprinted_and_nothing_leaves_the_page(name: str):
    content, _ = pdf(reports()[name])
    with pypdfium2.PdfDocument(content) as document:
        sizes = [document.get_page_size(number) for number in range(len(document))]
    for (_, boxes), (width, height) in zip(pages_of(content), sizes, strict=True):
        for left, bottom, right, top in boxes:
            assert left >= 0
            assert right <= width
            assert bottom >= 0
            assert top <= height
        for one, other in combinations(boxes, 2):
            across = min(one[2], other[2]) - max(one[0], other[0])
            down = min(one[3], other[3]) - max(one[1], other[1])
            assert across <= TOUCH or down <= TOUCH, (one, other)


@pytest.mark.parametrize(("name", "turned"), [("narrow", False), ("empty", False), ("rtl", False), ("wide", True)])
def test_paper_is_turned_for_a_table_that_does_not_fit_upright(name: str, turned: bool):
    with pypdfium2.PdfDocument(pdf(reports()[name])[0]) as document:
        sizes = [document.get_page_size(number) for number in range(len(document))]
    assert {width > height for width, height in sizes} == {turned}


def test_each_font_says_its_licence_and_the_folder_has_its_terms():
    folder = TEMPLATES / "fonts"
    told = (folder / "README.md").read_text()
    fonts = [file for file in folder.iterdir() if file.suffix in {".ttf", ".otf"}]
    assert len(fonts) >= 10
    for file in fonts:
        named = re.compile(
            rf"`{re.escape(file.stem.partition('-')[0])}(-\*|-{file.stem.partition('-')[2]}|)({file.suffix})?`"
        )
        (row,) = filter(named.search, told.splitlines())
        with TTFont(file) as font:
            notices = " ".join(str(font["name"].getDebugName(number) or "") for number in (0, 13, 14))
        terms = next(words for licence, words in LICENCES.items() if f"| {licence}" in row)
        assert re.search(terms, notices, re.IGNORECASE), (file.name, notices)
    assert "SIL OPEN FONT LICENSE Version 1.1" in (folder / "OFL.txt").read_text()


@pytest.mark.parametrize("name", SIX)
def test_every_value_is_in_every_format(name: str):
    made = reports()[name]
    content, said = pdf(made)
    assert said == (
        ("The table is wider than a page: its columns stand in 3 parts, the first one in each.",)
        if name == "wide"
        else ()
    )
    paper = bare("".join(text for text, _ in pages_of(content)))
    html = page(made)
    for row in made.cells():
        for cell in row:
            assert bare(cell) in paper
            assert cell in html
    sheet = openpyxl.load_workbook(io.BytesIO(workbook(made)[0]))["Report"]
    assert sheet.max_row == 4 + max(1, len(made.rows)) + (made.totals is not None)
    if made.nothing:
        assert bare(made.nothing) in paper
        assert made.nothing in html
        assert sheet["A5"].value == made.nothing


def test_numbers_that_excel_does_not_keep_are_texts_and_reported():
    content, said = workbook(reports()["many numbers"])
    sheet = openpyxl.load_workbook(io.BytesIO(content))["Report"]
    row = [cell.value for cell in sheet[155]]
    assert row == [1e300, "-∞", "NaN", "-1234567890123456.78", 0]
    assert said == ("Excel keeps 15 digits; written as text: 3 longer, infinite or missing numbers.",)


def test_number_too_long_for_a_column_is_a_power_of_ten_in_a_workbook():
    made = view([{"name": "n", "decimals": 2, "total": "sum"}], [(1e300,), (-1e21,), (-1e20,)], totals=(1e300,))
    sheet = openpyxl.load_workbook(io.BytesIO(workbook(made)[0]))["Report"]
    looks = [sheet[f"A{row}"].number_format for row in range(5, 9)]
    assert looks == ["0.00E+00", "0.00E+00", "#,##0.00", "0.00E+00"]


def test_text_too_long_for_its_cell_is_cut_with_a_mark_and_reported():
    content, said = pdf(view(texts("story"), [(SENTENCE * 40,)]))
    assert "…" in "".join(text for text, _ in pages_of(content))
    assert said == ("Cut to fit and marked with …: 1 value; HTML and XLSX have it whole.",)


def test_sign_that_no_font_has_is_marked_and_reported():
    content, said = pdf(view(texts("word"), [("\U00012000 cuneiform",)]))
    assert "cuneiform" in "".join(text for text, _ in pages_of(content))
    assert said == ("The PDF's fonts lack U+12000, shown as \ufffd; HTML and XLSX have them.",)


def test_control_characters_and_reading_direction_cannot_be_forged():
    made = view(texts("word"), [("a\x00b\u202ec\r\nd",)])
    assert list(made.cells()) == [["a\ufffdb\ufffdc\nd"]]
    assert "\x00" not in page(made)
    assert openpyxl.load_workbook(io.BytesIO(workbook(made)[0]))["Report"]["A5"].value == "a\ufffdb\ufffdc\nd"


def test_pdf_stops_at_its_limit_and_says_so():
    content, said = pdf(view(numbers("n"), [(n,) for n in range(ROWS_LIMIT + 7)]))
    assert said == (
        f"The PDF shows the first {ROWS_LIMIT:,} of {ROWS_LIMIT + 7:,} rows ({ROWS_LIMIT:,} at most); the XLSX has all.",
    )
    *_, (last, _) = pages_of(content)
    assert f"{ROWS_LIMIT - 1:,}.00" in last
    assert bare(said[0]) in bare(last)


def test_page_of_a_right_to_left_locale_is_turned_around():
    made = reports()["rtl"]
    assert '<html lang="ar" dir="rtl">' in page(made)
    assert openpyxl.load_workbook(io.BytesIO(workbook(made)[0]))["Report"].sheet_view.rightToLeft


def test_html_holds_its_fonts_and_asks_for_nothing_else():
    html = page(reports()["narrow"])
    assert 'font-family:"Open Sans";font-weight:600' in html
    assert 'font-family:"Noto Sans CJK SC"' in html
    assert 'font-family:"Noto Sans Arabic"' not in html
    assert "http" not in html.replace("http://www.w3.org", "")


def charted(kind: str, rows: list[tuple[Any, ...]]) -> tuple[ReportView, Chart]:
    chart = Chart(title="T", x="at", series=[Series(column="v", label="V"), Series(column="w", kind="dashed")])  # type: ignore[arg-type]
    return view([{"name": "at", "format": kind}, *numbers("v", "w")], rows, charts=(chart,)), chart


def test_legend_shows_each_series_as_it_is_drawn():
    made, _ = charted("month", [("2026-01-01", 1, 2), ("2026-02-01", 2, 1)])
    assert 'stroke-dasharray="5 3"' in page(made).split('class="legend"')[1].split("</ul>")[0]


@pytest.mark.parametrize("values", [(3.4, 28.1), (-7, 12), (0.012, 0.087), (1139, 4821)])
def test_value_axis_has_a_label_at_both_ends(values: tuple[float, float]):
    made, _ = charted("month", [("2026-01-01", values[0], None), ("2026-02-01", values[1], None)])

    (drawn,) = charts_of(made, lambda _: (300, 200))

    ends = re.search(r"linear scale with values from (\S+) to ([^\"\s]+)", drawn.svg)
    assert ends is not None
    shown = re.findall(r"<text[^>]*>([^<]+)</text>", drawn.svg)
    assert {ends[1], ends[2]} <= set(shown), (ends[0], shown)


def test_months_of_two_years_are_two_bands():
    made, chart = charted("month", [(f"{year}-01-01", year, 1) for year in (2025, 2026)])
    drawn = specification(chart, made, width=300, height=200)
    assert [row["x"] for row in drawn["data"]["values"]] == [0, 1]
    assert '["Jan 25","Jan 26"]' in drawn["encoding"]["x"]["axis"]["labelExpr"]


@pytest.mark.parametrize("kind", ["date", "number"])
def test_rows_without_a_place_on_the_axis_are_counted(kind: str):
    rows = [(f"2026-01-{n + 1:02d}" if kind == "date" else n, n, 1) for n in range(20)]
    made, chart = charted(kind, [*rows, (None, 1, 2)])
    (drawn,) = charts_of(made, lambda _: (300, 200))
    assert drawn.note == "1 of 21 rows has no value for this axis and is not drawn."
    assert len(specification(chart, made, width=300, height=200)["data"]["values"]) == 20


def test_chart_of_too_many_points_is_sampled_and_says_so():
    rows = [
        (f"2026-{n // 28 % 12 + 1:02d}-{n % 28 + 1:02d}T{n // 336 % 24:02d}:00:00", n, 99_999 if n == 4321 else -n)
        for n in range(8000)
    ]
    made, chart = charted("time", rows)
    values = specification(chart, made, width=300, height=200)["data"]["values"]
    assert len(values) <= POINTS_LIMIT + 2
    assert max(row["w"] for row in values) == 99_999
    (drawn,) = charts_of(made, lambda _: (300, 200))
    assert drawn.note.startswith("8,000 points, drawn as ")
    assert drawn.note in page(made)


def test_short_texts_of_a_page_are_never_broken_and_a_small_table_is_not_torn_apart():
    wide, narrow = page(reports()["wide"]), page(reports()["narrow"])
    assert '<td class="t s" dir="auto">plant-000</td>' in wide
    assert '<table class="full">' in wide
    assert "<table>" in narrow
    assert '<td class="t" dir="auto">The valve' in page(reports()["long text"])


def test_wide_workbook_is_printed_on_several_pages_with_its_first_column():
    def setup(name: str) -> tuple[int, str | None]:
        sheet = openpyxl.load_workbook(io.BytesIO(workbook(reports()[name])[0]))["Report"]
        return sheet.page_setup.fitToWidth or 1, sheet.print_title_cols

    assert setup("narrow") == (1, None)
    assert setup("wide") == (4, "$A:$A")


def test_number_in_a_column_of_dates_stays_what_it_is_in_a_workbook():
    made = view([{"name": "day", "format": "date"}], [(20200101,)], kinds=("number",))
    cell = openpyxl.load_workbook(io.BytesIO(workbook(made)[0]))["Report"]["A5"]
    assert (cell.value, cell.data_type) == ("20200101", "s")
