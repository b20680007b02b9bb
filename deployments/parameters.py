"""Checking a job's parameters before it is accepted, against the schema its deployment carries.

Danger: the schema is the server's copy; a job type whose signature changed is checked against the old one until the next
`redrive up` or `prefect deploy`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from prefect.utilities.schema_tools import validate

from redrive.blocks.errors import ParameterError


def checked(
    job: str, parameters: Mapping[str, Any], schema: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters, if they fit.

    Args:
        job: name of the job type, for the message.
        schema: OpenAPI schema of the flow's parameters. defaults: the deployment's own values.

    Raises:
        ParameterError: the first thing that does not fit, with what would.
    """
    known = schema.get("properties", {})
    for name in parameters:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known) or 'none'}"
            raise ParameterError(f"job type {job!r} has no parameter {name!r}; {hint}")
    errors = validate({**defaults, **parameters}, dict(schema), allow_none_with_default=True)
    if errors:
        first = errors[0]
        where = ".".join(str(part) for part in first.absolute_path)
        if first.validator == "required":
            missing = first.message.partition("'")[2].partition("'")[0]
            raise ParameterError(
                f"job type {job!r} needs the parameter {missing!r}: {_describe(known.get(missing, {}))}"
            )
        raise ParameterError(f"job type {job!r}: parameter {where!r} does not fit: {first.message}")
    return dict(parameters)


def parsed(pairs: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters from `k=v` texts: JSON where the schema wants something other than text, else the text itself."""
    known = schema.get("properties", {})
    return {name: _value(text, known.get(name, {})) for name, text in pairs.items()}


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    kinds = {schema.get("type"), *(option.get("type") for option in schema.get("anyOf", ()))}
    if text == "null" and "null" in kinds:
        return None
    if "string" in kinds or ("enum" in schema and all(isinstance(one, str) for one in schema["enum"])):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _describe(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description") or schema.get("title") or schema.get("type") or "no default")
