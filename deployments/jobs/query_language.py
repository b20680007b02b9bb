"""The small language in which people ask for jobs: `job:sync queue:high state:dead param.account:42 text:"nowhere.csv" since:2h`.

Conditions stand side by side and must all hold; several values of one stand behind a comma. A word without a name is looked for in
the message, the error, the name and the parameters. Pure: what a condition means to Prefect stands in `query.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.nearest import suggestion
from redrive.deployments.jobs.states import WORDS

#: The names of conditions, with what each asks for.
NAMES: Final = {
    "job": "job type",
    "queue": "queue",
    "state": "state",
    "error": "part of the error's name or message",
    "text": "part of message, error, name or parameters",
    "param.": "value of a parameter, as param.account:42",
    "name": "name of the job, or the beginning of its id",
    "worker": "part of the worker's name",
    "since": "due since: 30m, 2h, 1d (ago) or a time",
    "until": "due until, as since",
}
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TOKEN: Final = re.compile(
    r'(?P<name>[A-Za-z_][\w.\-]*):(?P<value>"(?:[^"\\]|\\.)*"?|\S*)|(?P<word>"(?:[^"\\]|\\.)*"?|\S+)'
)


class QueryError(ParameterError):
    """A condition that cannot be asked: characters `at` to `end` of the text."""

    def __init__(self, detail: str, *, at: int, end: int) -> None:
        super().__init__(detail)
        self.at, self.end = at, end


@dataclass(frozen=True, kw_only=True)
class Query:
    """What was asked for. `states` are words of `WORDS`."""

    jobs: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    @property
    def reads_rows(self) -> bool:
        """Whether Prefect cannot answer all of it, so that rows are read and chosen here."""
        return bool(self.errors or self.texts or self.parameters or self.names or self.workers)


@dataclass
class _Terms:
    jobs: list[str] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    parameters: list[tuple[str, str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    workers: list[str] = field(default_factory=list)
    since: datetime | None = None
    until: datetime | None = None


def parsed(text: str, now: datetime, *, jobs: Sequence[str] = (), queues: Sequence[str] = ()) -> Query:
    """What a text asks for.

    Args:
        jobs, queues: names that there are, to refuse others; none given, any is taken.

    Raises:
        QueryError: the first condition that cannot be asked, its place, and what may be meant.
    """
    terms = _Terms()
    for found in _TOKEN.finditer(text):
        if found["word"] is not None:
            terms.texts.append(_value(found, "word"))
        else:
            _condition(terms, found, now, jobs=jobs, queues=queues)
    return Query(
        jobs=tuple(terms.jobs),
        queues=tuple(terms.queues),
        states=tuple(terms.states),
        errors=tuple(terms.errors),
        texts=tuple(terms.texts),
        parameters=tuple(terms.parameters),
        names=tuple(terms.names),
        workers=tuple(terms.workers),
        since=terms.since,
        until=terms.until,
    )


def _condition(
    terms: _Terms, found: re.Match[str], now: datetime, *, jobs: Sequence[str], queues: Sequence[str]
) -> None:
    name, value = found["name"].lower(), _value(found, "value")
    if not value:
        raise _error(found, "value", f"{name}: asks for nothing; write what after the colon")
    match name:
        case "job":
            terms.jobs += _known(found, value, jobs, "job type")
        case "queue":
            terms.queues += _known(found, value, queues, "queue")
        case "state":
            terms.states += _known(found, value, tuple(WORDS), "state")
        case "error" | "text" | "name" | "worker":
            getattr(terms, f"{name}s").append(value)
        case "since" | "until":
            setattr(terms, name, _time(found, value, now))
        case _ if name.startswith("param.") and name != "param.":
            terms.parameters.append((found["name"][len("param.") :], value))
        case _:
            hint = suggestion(name, NAMES, f"there are {', '.join(NAMES)}")
            raise _error(found, "name", f"there is no condition {name!r}; {hint}")


def _value(found: re.Match[str], group: str) -> str:
    text = found[group]
    if not text.startswith('"'):
        return text
    if len(text) == 1 or not text.endswith('"'):
        raise _error(found, group, "this text has no closing quote")
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _known(found: re.Match[str], value: str, known: Sequence[str], what: str) -> list[str]:
    asked, at = [], found.start("value")
    for part in value.split(","):
        if part and known and part not in known:
            hint = suggestion(part, known, f"there are {', '.join(known)}")
            raise QueryError(f"there is no {what} {part!r}; {hint}", at=at, end=at + len(part))
        asked += [part] if part else []
        at += len(part) + 1
    return asked


def _time(found: re.Match[str], value: str, now: datetime) -> datetime:
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhdw])", value)
    try:
        if parts and "".join(number + unit for number, unit in parts) == value:
            return now - timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _error(found, "value", f"{value!r} is no time; write 30m, 2h or 1d (ago), or 2026-12-24T18:00") from None


def _error(found: re.Match[str], group: str, detail: str) -> QueryError:
    return QueryError(detail, at=found.start(group), end=max(found.end(group), found.start(group) + 1))
