"""The form made from a schema: what it shows, and what counts as changed."""

from __future__ import annotations

from typing import Any

import pytest

from redrive.blocks.core.errors import ParameterError
from redrive.dashboards.console.parameter_form import changes, difference, fields

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["path"],
    "properties": {
        "path": {"type": "string", "title": "path"},
        "rows": {"type": "integer", "default": 10},
        "strict": {"type": "boolean", "default": True},
        "colour": {"$ref": "#/definitions/Colour"},
        "address": {"type": "object"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "api_key": {"type": "string"},
    },
    "definitions": {"Colour": {"enum": ["red", "blue"], "title": "Colour"}},
}
VALUES = {"path": "a.csv", "colour": "red", "address": {"city": "Bonn"}, "api_key": "s3cret-value"}


def sent(**texts: str) -> dict[str, list[str]]:
    """The form as a browser sends it, with these fields changed."""
    shown = {one.field: [one.shown] for one in fields(SCHEMA, {}, VALUES)}
    return shown | {f"p.{name}": [text] for name, text in texts.items()}


def edits(**texts: str) -> dict[str, Any]:
    return changes(sent(**texts), fields(SCHEMA, {}, VALUES))


def test_form_that_is_sent_as_it_was_changes_nothing():
    assert edits() == {}


def test_values_have_the_types_of_the_schema():
    assert edits(path="b.csv", rows="20", strict="false", colour="blue", address='{"city": "Köln"}', note="later") == {
        "path": "b.csv",
        "rows": 20,
        "strict": False,
        "colour": "blue",
        "address": {"city": "Köln"},
        "note": "later",
    }


def test_secret_is_not_in_the_form_and_stays_unless_it_is_written_anew():
    assert "s3cret" not in str([one.shown for one in fields(SCHEMA, {}, VALUES)])
    assert edits(api_key="new-one") == {"api_key": "new-one"}


def test_text_that_still_holds_the_mask_is_refused():
    values = {**VALUES, "path": "https://ada:s3cret@example.com/a.csv"}
    known = fields(SCHEMA, {}, values)
    assert known[0].shown == "https://ada:***@example.com/a.csv"

    with pytest.raises(ParameterError, match="write what it hides anew"):
        changes({"p.path": ["https://ada:***@example.com/b.csv"]}, known)


def test_control_characters_are_not_in_the_form_and_stay_unless_the_text_is_written_anew():
    values = {**VALUES, "path": "a\x1b[2J\u202eb.csv"}
    known = fields(SCHEMA, {}, values)
    assert known[0].shown == "a\ufffd[2J\ufffdb.csv"

    assert changes({"p.path": [known[0].shown]}, known) == {}
    assert changes({"p.path": ["b.csv"]}, known) == {"path": "b.csv"}
    with pytest.raises(ParameterError, match="stands for what no page shows"):
        changes({"p.path": [f"{known[0].shown}!"]}, known)


@pytest.mark.parametrize(("name", "text"), [("rows", "ten"), ("address", "{city}")])
def test_text_that_is_no_value_names_its_parameter(name: str, text: str):
    with pytest.raises(ParameterError, match=f"parameter '{name}'"):
        edits(**{name: text})


def test_difference_shows_before_and_after_without_secrets():
    found = difference(VALUES, {"path": "b.csv", "api_key": "new-one", "rows": 20})

    assert [(one.name, one.before, one.after) for one in found] == [
        ("path", "a.csv", "b.csv"),
        ("api_key", "***", "***"),
        ("rows", "not given", "20"),
    ]
