"""What does not fit the schema of a job's parameters, as Prefect's server sees it, without Prefect's import (two seconds).

A contract test compares with Prefect's own `validate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry

#: A saved block may stand for itself: by its id, or by fields that find it.
_REFERENCE = {
    "type": "object",
    "properties": {
        "$ref": {
            "oneOf": [
                {"type": "string", "format": "uuid"},
                {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
            ]
        }
    },
    "required": ["$ref"],
}


def first_fault(values: Mapping[str, Any], schema: Mapping[str, Any]) -> ValidationError | None:
    """The first value that does not fit; None if all do. No reference of the schema is fetched.

    Args:
        values: parameters as JSON values.
        schema: OpenAPI schema of the flow's parameters.
    """
    validator = Draft202012Validator(
        _prepared(schema), format_checker=Draft202012Validator.FORMAT_CHECKER, registry=Registry()
    )
    return next(validator.iter_errors(dict(values)), None)


def _prepared(schema: Mapping[str, Any]) -> dict[str, Any]:
    found = deepcopy(dict(schema))
    _prepare(found)
    definitions = found.get("definitions", {})
    for definition in list(definitions.values()):
        _prepare(definition)
        if "block_type_slug" in definition:
            definitions[definition["title"]] = {"oneOf": [definition, _REFERENCE]}
    return found


def _prepare(part: dict[str, Any]) -> None:
    """Pydantic of version 1 names neither an optional value's null nor a tuple's items as the standard does."""
    for name, one in part.get("properties", {}).items():
        if name not in part.get("required", []) and one.get("type", "null") != "null":
            one["anyOf"] = [{"type": one.pop("type")}, {"type": "null"}]
        if isinstance(one.get("items"), list) and one["items"] and not one.get("prefixItems"):
            one["prefixItems"] = one.pop("items")
        _prepare(one)
