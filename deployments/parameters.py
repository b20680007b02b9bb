"""Checking a job's parameters before it is accepted, against the schema its deployment carries.

Danger: the schema is the server's copy; a job type whose signature changed is checked against the old one until the next
`redrive up` or `prefect deploy`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import PydanticSerializationError, to_jsonable_python

from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.nearest import suggestion
from redrive.deployments.parameter_faults import first_fault

_LONE = re.compile("[\ud800-\udfff]")


def checked(
    job: str, parameters: Mapping[str, Any], schema: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters as JSON values, if they fit.

    Args:
        job: name of the job type, for the message.
        schema: OpenAPI schema of the flow's parameters.
        defaults: the deployment's own values.

    Raises:
        ParameterError: the first thing that does not fit, with what would.
    """
    known = schema.get("properties", {})
    for name in parameters:
        if name not in known:
            hint = suggestion(name, known, f"it has {', '.join(known) or 'none'}", written="'{}'")
            raise ParameterError(f"job type {job!r} has no parameter {name!r}; {hint}")
    parameters = {name: _jsonable(job, name, value) for name, value in parameters.items()}
    if first := first_fault({**defaults, **parameters}, schema):
        where = ".".join(str(part) for part in first.absolute_path)
        if first.validator == "required":
            missing = first.message.partition("'")[2].partition("'")[0]
            raise ParameterError(
                f"job type {job!r} needs the parameter {missing!r}: {_describe(known.get(missing, {}))}"
            )
        raise ParameterError(f"job type {job!r}: parameter {where!r} does not fit: {first.message}")
    return parameters


def parsed(pairs: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters from `k=v` texts: JSON where the schema wants something other than text, else the text itself."""
    known = schema.get("properties", {})
    return {name: _value(text, known.get(name, {})) for name, text in pairs.items()}


def _jsonable(job: str, name: str, value: Any) -> Any:
    """The value as pydantic writes it, so that the flow reads an equal one: dates as ISO 8601, decimals as text."""
    where = f"job type {job!r}: parameter {name!r}"
    try:
        secret = _holds_secret(value)
        written = None if secret else to_jsonable_python(value)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise ParameterError(f"{where} cannot be written as JSON: {str(error).splitlines()[0]}") from None
    if secret:
        raise ParameterError(
            f"{where} holds a SecretStr, which would arrive as asterisks; give its text, or a block's name"
        )
    if fault := _unkeepable(written):
        raise ParameterError(f"{where} holds {fault}, which no database keeps")
    return written


def _holds_secret(value: Any) -> bool:
    match value:
        case SecretStr() | SecretBytes():
            return True
        case Mapping():
            return any(_holds_secret(one) for one in value.values())
        case list() | tuple() | set() | frozenset():
            return any(_holds_secret(one) for one in value)
        case BaseModel():
            return any(_holds_secret(one) for one in vars(value).values())
        case _:
            return is_dataclass(value) and any(_holds_secret(getattr(value, one.name)) for one in fields(value))


def _unkeepable(value: Any) -> str | None:
    """What PostgreSQL's JSON has no place for."""
    match value:
        case str():
            if "\x00" in value:
                return "a NUL character"
            return "half of a surrogate pair" if _LONE.search(value) else None
        case float():
            return None if math.isfinite(value) else f"the number {value}"
        case dict():
            return next(filter(None, map(_unkeepable, (*value, *value.values()))), None)
        case list():
            return next(filter(None, map(_unkeepable, value)), None)
        case _:
            return None


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
