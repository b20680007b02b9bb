"""Types of columns, told from their texts."""

from __future__ import annotations

import pandas as pd
import pytest

from redrive.flows.sync_table.column_types import Inference, fits, prepared, unfit_example


def column(*values: str | None) -> pd.Series[str]:
    return pd.Series(list(values), dtype=object)


def inferred(*chunks: pd.Series[str]) -> str:
    inference = Inference()
    for chunk in chunks:
        inference.see(chunk)
    return inference.type


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("1", "-20", None), "bigint"),
        (("1", "9" * 30), "numeric"),
        (("1", "2.5", "1e-3"), "double precision"),
        (("true", "False"), "boolean"),
        (("2012/01/31", "2012-02-01"), "date"),
        (("2012-01-31", "2012-01-31 10:20"), "timestamp"),
        (("2012-01-31T10:20:30Z", "2012-01-31 10:20:30.5+02:00"), "timestamptz"),
        (("00123", "12345"), "text"),
        (("2012-13-01",), "text"),
        (("01/02/2012",), "text"),
        ((None, None), "text"),
        (("1", "NA", "n/a"), "bigint"),
        (("NA", "DE"), "text"),
    ],
)
def test_narrowest_type_that_takes_all_values_is_chosen(values: tuple[str | None, ...], expected: str):
    assert inferred(column(*values)) == expected


def test_type_widens_over_chunks():
    assert inferred(column("1", "2"), column("2.5")) == "double precision"
    assert inferred(column("1"), column("one")) == "text"


@pytest.mark.parametrize(
    ("found", "existing", "expected"),
    [
        ("bigint", "double precision", True),
        ("double precision", "bigint", False),
        ("date", "timestamp without time zone", True),
        ("text", "date", False),
        ("bigint", "text", True),
        ("text", "jsonb", True),
    ],
)
def test_fit_into_an_existing_column(found: str, existing: str, expected: bool):
    assert fits(found, existing) is expected  # type: ignore[arg-type]


def test_example_is_the_first_value_that_does_not_fit():
    assert unfit_example(column("1", "NA", "2.5", "x"), "bigint") == "2.5"
    assert unfit_example(column("2012-01-01", "2012/01/02"), "date") is None


def test_marks_for_missing_stay_in_texts_only():
    assert prepared(column("NA", "DE"), "text").tolist() == ["NA", "DE"]
    assert prepared(column("NA", "3"), "bigint").tolist() == [None, "3"]
