"""Report definitions: what is refused, and how values are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from redrive.blocks.errors import PermanentError
from redrive.flows.report_pages.definition import Column, ReportDefinition
from redrive.flows.report_pages.values import number, shown

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
    with pytest.raises(PermanentError, match=r"nothing\.yaml cannot be read"):
        ReportDefinition.load(tmp_path / "nothing.yaml")


def test_unknown_parameter_gets_the_nearest_known_one():
    with pytest.raises(PermanentError, match="no parameter 'yaer'; did you mean year"):
        ReportDefinition.load(SAMPLE).with_parameters({"yaer": 2013})


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (1234.5, {"decimals": 1}, "1,234.5"),
        (-0.04, {"decimals": 1}, "0.0"),
        (-3, {}, "\u22123"),
        (3, {"signed": True}, "+3"),
        (0, {"signed": True}, "0"),
    ],
)
def test_numbers_are_written_for_people(value: float, options: dict[str, int], text: str):
    assert number(value, **options) == text


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
    assert shown(value, column) == text  # type: ignore[arg-type]
