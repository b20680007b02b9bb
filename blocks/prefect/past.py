"""What the past of a run tells: whose attempt it is in, and which of its deaths nobody has counted.

The server keeps no order of a run's states but their times, which its clock told. After that clock was put back, a new state has an
earlier time than those before, and the last one by time is not the last one. Which one a run is in now is known by its id. So what lies
after that one by time was told before the step, and is older.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import dropwhile
from typing import Any, Protocol, TypeVar

from redrive.blocks.prefect.labels import DEATH_COUNTED, REDRIVEN_AT, moment
from redrive.blocks.prefect.states import FAILED, PENDING, SCHEDULED

#: Deaths of a run whose count is remembered, the last ones.
REMEMBERED = 10


class Past(Protocol):
    """A state of a run's history, as the API or Prefect's own client gives it."""

    @property
    def id(self) -> Any: ...

    @property
    def type(self) -> Any: ...

    @property
    def timestamp(self) -> Any: ...


P = TypeVar("P", bound=Past)


def last_of(history: Sequence[P], kind: str, *, now: object) -> P | None:
    """The last state of a type; None if the run was never in one.

    Args:
        history: by time.
        now: the id of the state that the run is in, or was in when the history was read.
    """
    led, later = _split(history, now)
    return _last(led, kind) or _last(later, kind)


def death_to_count(history: Sequence[Past], labels: Mapping[str, Any], *, now: object) -> str | None:
    """The last final failure in the history if nobody has counted it yet, that is, if Retry was pressed in Prefect since.

    By the id of the state, not by the time: the clocks of two hosts are never compared. Runs that were redriven before there was
    such a label are judged by the time.

    Args:
        history: by time.
        now: as of `last_of`.
    """
    counted = counted_deaths(labels)
    led, later = _split(history, now)
    if later:
        # What this attempt had waited for: an attempt begins with Scheduled and Pending.
        left = next(dropwhile(lambda state: state.type in {PENDING, SCHEDULED}, reversed(led[:-1])), None)
        if left is not None and left.type == FAILED and str(left.id) not in counted:
            return str(left.id)
    deaths = [state for state in history if state.type == FAILED]
    if not deaths or str(deaths[-1].id) in counted:
        return None
    last = deaths[-1]
    at = max((at for at, state in enumerate(history) if str(state.id) in counted), default=None)
    if at is not None:
        return str(last.id) if last in history[at + 1 :] else None
    since = moment(labels.get(REDRIVEN_AT))
    return str(last.id) if since is None or last.timestamp > since else None


def counted_deaths(labels: Mapping[str, Any]) -> list[str]:
    """The ids of the final failures after which tries were counted afresh, the last one at the end."""
    return str(labels.get(DEATH_COUNTED) or "").split()


def with_death(counted: Iterable[str], death: object) -> str:
    """The label that says so of one more."""
    return " ".join([*(one for one in counted if one != str(death)), *([str(death)] if death else [])][-REMEMBERED:])


def _split(history: Sequence[P], now: object) -> tuple[Sequence[P], Sequence[P]]:
    """The states up to the one that the run is in, and those with a later time."""
    at = next((at for at, state in enumerate(history) if str(state.id) == str(now)), len(history) - 1)
    return history[: at + 1], history[at + 1 :]


def _last(states: Sequence[P], kind: str) -> P | None:
    return next((state for state in reversed(states) if state.type == kind), None)
