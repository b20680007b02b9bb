"""A validation error of pydantic as one sentence: what is wrong first, and what was meant."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from redrive.blocks.core.nearest import suggestion

#: What pydantic puts into a place for the member of a union it tried; nobody wrote that.
_MEMBERS = frozenset({"tuple", "Exponential", "str", "int", "function-before"})


def first_fault(error: ValidationError, known: Iterable[str], *, what: str = "it") -> str:
    """`memory: 12 is too small`, or `a retry policy has no 'max_trys'; did you mean 'max_tries'?`.

    Args:
        error: what pydantic raised.
        known: names that may be given, for a name that may not.
        what: what has them.
    """
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    where = ".".join(part for part in parts if part not in _MEMBERS)
    if first["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        return no_option(what, parts[-1], known)
    detail = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {detail}" if where and not detail.startswith(where) else detail


def no_option(what: str, given: str, known: Iterable[str]) -> str:
    """`a retry policy has no 'max_trys'; did you mean 'max_tries'?`."""
    names = list(known)
    return f"{what} has no {given!r}; " + suggestion(
        given, names, f"it has {', '.join(names)}", alike=0.6, written="'{}'"
    )
