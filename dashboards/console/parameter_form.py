"""A form made from the schema of a flow's parameters, and what was changed in it.

A secret is never sent to the browser: its field is empty, and empty means unchanged. A text in which a secret was masked can be kept
as it is, or written anew; one that still holds the mask is refused, or the mask would be taken for the secret. So it is with control
characters, which a page does not show.

Danger: what was sent is compared with what was shown, so both must be made by the same functions from the same values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.masking import MASK, is_secret_name, mask
from redrive.blocks.core.plain_text import REPLACED, plain_text
from redrive.dashboards.console.access.guard import Form

Kind = Literal["text", "lines", "number", "choice", "json", "secret"]

#: How the fields of parameters are named in the form, apart from those of the page itself.
PREFIX: Final = "p."
#: A text longer than this gets several lines.
ONE_LINE: Final = 80
#: A field that was not given and is left so.
UNSET: Final = object()


@dataclass(frozen=True, kw_only=True)
class Field:
    """One parameter in the form. `shown`: its text there; `value`: what it is, or `UNSET`."""

    name: str
    kind: Kind
    hint: str
    required: bool
    nullable: bool
    choices: tuple[str, ...]
    shown: str
    value: Any

    @property
    def field(self) -> str:
        return f"{PREFIX}{self.name}"

    @property
    def rows(self) -> int:
        """Lines that its text takes, within reason."""
        return min(12, max(2, sum(1 + len(line) // ONE_LINE for line in self.shown.split("\n"))))


@dataclass(frozen=True, kw_only=True)
class Change:
    """One parameter that is another than before, both as people may read them."""

    name: str
    before: str
    after: str


def fields(schema: Mapping[str, Any], defaults: Mapping[str, Any], values: Mapping[str, Any]) -> list[Field]:
    """The fields of a form, in the order of the schema."""
    required = set(schema.get("required", ()))
    found = []
    for name, given in schema.get("properties", {}).items():
        options = [_resolved(one, schema) for one in given.get("anyOf", [given])]
        kinds = [one.get("type") for one in options]
        main = next((one for one in options if one.get("type") != "null"), options[0])
        value = values[name] if name in values else defaults.get(name, given.get("default", UNSET))
        kind = _kind(name, main, value)
        found.append(
            Field(
                name=name,
                kind=kind,
                hint=str(given.get("description") or ""),
                required=name in required,
                nullable="null" in kinds,
                choices=_choices(main),
                shown="" if kind == "secret" else plain_text(shown(name, value)),
                value=value,
            )
        )
    return found


def changes(form: Form, known: list[Field]) -> dict[str, Any]:
    """What was changed in the form: parameters by name.

    Raises:
        ParameterError: a text that is no value of its field.
    """
    found: dict[str, Any] = {}
    for one in known:
        sent = form.get(one.field)
        if sent is None:
            continue
        text = sent[-1].replace("\r\n", "\n")
        if text == one.shown:
            continue
        if MASK in text and one.kind != "secret":
            raise ParameterError(
                f"parameter {one.name!r} still holds {MASK}: write what it hides anew, or leave it as it was"
            )
        if REPLACED in text and REPLACED in one.shown:
            raise ParameterError(
                f"parameter {one.name!r} still holds {REPLACED}, which stands for what no page shows: write it anew, or leave all as it was"
            )
        found[one.name] = _value(one, text)
    return found


def difference(before: Mapping[str, Any], edits: Mapping[str, Any]) -> list[Change]:
    """What edits change, as people may read it."""
    return [
        Change(name=name, before=shown(name, before.get(name, UNSET), mark=True), after=shown(name, value, mark=True))
        for name, value in edits.items()
        if name not in before or before[name] != value
    ]


def shown(name: str, value: Any, *, mark: bool = False) -> str:
    """A value as the form shows it; with `mark`, what is no text says so."""
    if value is UNSET:
        return "not given" if mark else ""
    masked = mask({name: value})[name]
    if isinstance(masked, str):
        return masked
    if masked is None and not mark:
        return ""
    return json.dumps(masked, ensure_ascii=False, indent=2 if isinstance(masked, dict | list) else None, default=str)


def _value(one: Field, text: str) -> Any:
    if not text.strip() and one.nullable:
        return None
    match one.kind:
        case "text" | "lines" | "secret":
            return text
        case "choice" if text in one.choices:
            return json.loads(text) if text in {"true", "false"} else text
        case _:
            pass
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        what = "number" if one.kind == "number" else "JSON"
        raise ParameterError(
            f"parameter {one.name!r}: {text[:60]!r} is no {what} ({error.msg}, at character {error.pos})"
        ) from None


def _kind(name: str, schema: Mapping[str, Any], value: Any) -> Kind:
    if is_secret_name(name) or schema.get("format") == "password":
        return "secret"
    if "enum" in schema or schema.get("type") == "boolean":
        return "choice"
    if schema.get("type") in {"integer", "number"}:
        return "number"
    if schema.get("type") == "string" or isinstance(value, str):
        return "lines" if isinstance(value, str) and (len(value) > ONE_LINE or "\n" in value) else "text"
    return "json"


def _choices(schema: Mapping[str, Any]) -> tuple[str, ...]:
    if schema.get("type") == "boolean":
        return ("true", "false")
    return tuple(str(one) for one in schema.get("enum", ()))


def _resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference in the schema stands for."""
    for one in (schema, *schema.get("allOf", ())):
        if "$ref" in one:
            name = str(one["$ref"]).rpartition("/")[2]
            found = whole.get("definitions", {}).get(name) or whole.get("$defs", {}).get(name) or {}
            return {**found, **{key: value for key, value in schema.items() if key not in {"$ref", "allOf"}}}
    return schema
