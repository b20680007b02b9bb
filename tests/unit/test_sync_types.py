"""Types of columns, told from their texts: value by value, and by the scan that takes no record apart without need."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from redrive.blocks.core.errors import PermanentError
from redrive.flows.sync.table.column_format import ColumnFormat
from redrive.flows.sync.table.column_types import PATTERNS, Column, fits, fitting
from redrive.flows.sync.table.record_scan import RECORD_LIMIT, RecordScan


def seen(*values: str | None) -> Column:
    column = Column("it")
    for value in values:
        column.see(value)
    return column


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("1", "-20", None), "bigint"),
        (("1", "9" * 30), "numeric"),
        (("1", "2.5", "1e-3"), "numeric"),
        (("1234567890123456.78",), "numeric"),
        (("true", "False"), "boolean"),
        (("2012/01/31", "2012-02-01"), "date"),
        (("2012-01-31", "2012-01-31 10:20"), "timestamp"),
        (("2012-01-31T10:20:30Z", "2012-01-31 10:20:30.5+02:00"), "timestamptz"),
        (("00123", "12345"), "text"),
        (("+4915112345678", "+491700000"), "text"),
        (("1204", "12E4", "3377"), "text"),
        (("+0.5", "1e-05", "2E+10", "1.0E10", "-.5e3"), "numeric"),
        (("2012-13-01",), "text"),
        (("2012-01/01",), "text"),
        (("01/02/2012",), "text"),
        (("1,5",), "text"),
        ((None, None), "text"),
        (("1", "NA", "n/a"), "bigint"),
        (("NA", "DE"), "text"),
        (("١٢",), "text"),
        (("1", "one"), "text"),
    ],
)
def test_narrowest_type_that_takes_all_values_is_chosen(values: tuple[str | None, ...], expected: str):
    assert seen(*values).type == expected


@pytest.mark.parametrize(
    ("found", "existing", "expected"),
    [
        ("bigint", "double precision", True),
        ("numeric", "double precision", True),
        ("whole", "double precision", False),
        ("numeric", "bigint", False),
        ("date", "timestamp without time zone", True),
        ("text", "date", False),
        ("bigint", "text", True),
        ("text", "jsonb", True),
    ],
)
def test_fit_into_an_existing_column(found: str, existing: str, expected: bool):
    assert fits(found, existing) is expected  # type: ignore[arg-type]


def test_what_fits_an_existing_column_is_a_pattern_of_all_its_texts():
    assert re.fullmatch(fitting("bigint") or "", "12")
    assert not re.fullmatch(fitting("bigint") or "", "2.5")
    assert all(re.fullmatch(fitting("numeric") or "", number) for number in ("+5", "1e5", "-2.5"))
    assert fitting("text") is None


def test_fall_to_text_is_remembered_with_its_value():
    assert seen("1", "2", "x").fallen == (0, "x", "bigint")
    assert seen("x", "1").fallen is None


# The scan

#: Values on the edges of the rules, and what could be read in two ways.
EDGES = [
    "", "0", "-0", "00", "007", "1", "-1", "+1", "9" * 18, "9" * 19, "9" * 40, "1.", ".5", "1.50", "-.5e-3",
    "1e400", "1e1000", "1.2.3", " 1", "1 ", "NA", "null", "-", "true", "TRUE", "tRUE", "2020-01-01", "2020/01/01",
    "2020-01/01", "2020-02-30", "2020-01-01 10:00", "2020-01-01T10:00:00.123456", "2020-01-01 10:00+02",
    "2020-01-01 10:00Z", "a,b", 'say "hi"', '"', "a\nb", "a\r\nb", "\\.", "\\N", "ä€😀", "'", "1,5", "\t", "1_000",
    "0x1F", "NaN", "Infinity",
]  # fmt: skip
value = st.one_of(
    st.sampled_from(EDGES), st.from_regex("|".join(PATTERNS.values()), fullmatch=True), st.text(max_size=5)
)
#: A column of one kind, as most are: what breaks it stands anywhere among its like.
FAMILIES = [
    ["1", "-20", "0", "77", ""],
    ["1", "2.5", "-0.10", "1e-5", "+2.5", "9" * 25],
    ["true", "False", "NA"],
    ["2020-01-01", "2020/12/31", "-"],
    ["2020-01-01 10:00", "2020-01-01", "2020-01-01T10:00:00.5"],
    ["2020-01-01 10:00Z", "2020-01-01T10:00:00.5+0200"],
]
#: What a careless pattern would take for one of them.
NEARLY = [
    "+49151",
    "12E4",
    "007",
    "00",
    "01.5",
    "1 ",
    "1.2.3",
    "2020-01/01",
    "2020-13-01",
    "tRUE",
    "1e1000",
    "2020-01-01 24:00",
]


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    height, columns = draw(st.integers(1, 12)), []
    for _ in range(draw(st.integers(1, 4))):
        like = st.sampled_from(draw(st.sampled_from(FAMILIES)))
        column = draw(st.lists(like, min_size=height, max_size=height))
        for place in draw(st.lists(st.integers(0, height - 1), max_size=2)):
            column[place] = draw(st.one_of(value, st.sampled_from(NEARLY)))
        columns.append(column)
    return [list(row) for row in zip(*columns, strict=True)]


def usable(text: str) -> bool:
    return "\x00" not in text and (text.isprintable() or text in EDGES)


QUOTING = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])


@given(table=tables(), cut=st.integers(1, 50), quoting=QUOTING, end=st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=400, deadline=None)
def test_scan_finds_the_types_that_reading_every_value_finds_and_loses_nothing(
    table: list[list[str]], cut: int, quoting: int, end: str
):
    table = [[text if usable(text) else "x" for text in row] for row in table]
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=end, quoting=quoting).writerows(table)  # type: ignore[arg-type]
    content = file.getvalue().encode()
    width = len(table[0]) if table else 1
    by_value = [Column(str(i)) for i in range(width)]
    kept = [row for row in table if row != [""] or quoting == csv.QUOTE_ALL or width > 1]
    for row in table:
        for column, text in zip(by_value, row, strict=True):
            column.see(text or None)
    scanned = [Column(str(i)) for i in range(width)]
    scan = RecordScan(scanned, label="it", end=end)
    out = b"".join(scan.scanned(content[i : i + cut] for i in range(0, len(content), cut))).decode()
    assert [(c.type, c.empty, c.type != "text" and c.marked) for c in scanned] == [
        (c.type, c.empty, c.type != "text" and c.marked) for c in by_value
    ]
    assert [row for row in csv.reader(io.StringIO(out, newline=""))] in ([list(row) for row in table], kept)  # noqa: C416


def scanned(content: str, width: int = 2) -> list[list[str]]:
    scan = RecordScan([Column(str(i)) for i in range(width)], label="it")
    return list(csv.reader(io.StringIO(b"".join(scan.scanned([content.encode()])).decode(), newline="")))


def test_record_that_could_be_read_in_two_ways_is_written_in_one():
    assert scanned('1,5" pipe\n2,6" pipe\n\n3\n4,x') == [["1", '5" pipe'], ["2", '6" pipe'], ["3", ""], ["4", "x"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1,2,3\n4,5\n", "line 2 has 3 values for 2 columns"),
        ("1,2\n1,2,\n", "line 3 has 3 values for 2 columns"),
        ('1,"2\n3,4\n', "ends inside of a quoted value that begins in line 2"),
    ],
)
def test_record_that_cannot_be_meant_is_refused(content: str, said: str):
    with pytest.raises(PermanentError, match=said):
        scanned(content)


def test_row_that_never_ends_is_refused_before_it_fills_the_memory():
    given_blocks = 0

    def zeros() -> object:
        nonlocal given_blocks
        while True:
            given_blocks += 1
            yield bytes(1 << 20)

    with pytest.raises(PermanentError, match="a row of more than 16 MB"):
        list(RecordScan([Column("it")], label="it").scanned(zeros()))  # type: ignore[arg-type]
    assert given_blocks <= (RECORD_LIMIT >> 20) + 1


# Declared formats


@pytest.mark.parametrize(
    ("declared", "fitting_values", "wrong"),
    [
        ({"type": "numeric", "decimal": ",", "thousands": "."}, ["1.234.567,89", "12", "-0,5", "1234,5"], "1,234.5"),
        ({"type": "date", "order": "dmy"}, ["31.12.2020", "1/2/2020"], "12.31.2020"),
        ({"type": "timestamp", "order": "mdy"}, ["12/31/2020 9:05", "1-2-2020"], "31/12/2020"),
        ({"type": "boolean", "true": ["yes", "ja"], "false": ["no", "nein"]}, ["Yes", "NEIN", "ja"], "true"),
        ({"type": "text"}, ["12", "NA", "anything\nat all"], None),
    ],
)
def test_declared_format_takes_its_values_and_refuses_others(
    declared: dict[str, object], fitting_values: list[str], wrong: str | None
):
    column = Column("it", ColumnFormat.model_validate(declared))
    for text in fitting_values:
        column.see(text)
    assert column.type == declared["type"]
    if wrong is not None:
        with pytest.raises(PermanentError, match="column 'it' holds"):
            column.see(wrong, 7)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"type": "date", "decimal": ","}, "decimal is for"),
        ({"type": "numeric", "decimal": ",", "thousands": ","}, "cannot be the same"),
        ({"type": "boolean", "true": ["x"], "false": ["X"]}, "words of their own"),
        ({"type": "money"}, "type"),
    ],
)
def test_format_that_cannot_be_meant_is_refused(declared: dict[str, object], said: str):
    with pytest.raises(ValidationError, match=said):
        ColumnFormat.model_validate(declared)
