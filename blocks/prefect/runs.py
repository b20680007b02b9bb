"""Reading and changing flow runs through Prefect's API.

Pages go by keyset: each begins where the one before stopped, at a time and without the runs seen at that time. Pages by number
would skip runs while others leave their state in the middle.

Danger: `transition` and `delete_if` carry their condition in the call. Redrive's server judges it under the lock on the run; Prefect's
plain one, and every delete, finds the runs that fit and changes each right after: a moment remains in between, so what is decided is
decided on a run that was just read.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from redrive.blocks.prefect import paging
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.fast_calls import ask_fast
from redrive.blocks.prefect.flow_names import FlowNames
from redrive.blocks.prefect.paging import BEGINNING, END, PAGE, Order, Place
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import fast
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.states import CANCELLED, CANCELLING, identified
from redrive.blocks.prefect.trail import states_of
from redrive.blocks.prefect.wanted import Wanted

__all__ = [
    "BEGINNING",
    "END",
    "PAGE",
    "Order",
    "Place",
    "RunsPage",
    "Transition",
    "Wanted",
    "by_id",
    "count",
    "count_of",
    "delete_if",
    "page",
    "pages",
    "snapshot",
    "states_of",
    "transition",
]

log = logging.getLogger("redrive.prefect")

#: Runs that one bulk call deletes at most, by Prefect's own limit.
BULK = 50

_names = FlowNames(ask)


@dataclass(frozen=True)
class RunsPage:
    """Some runs; `next` is the place of the page after it, None on the last one."""

    runs: list[Run]
    next: Place | None


def pages(wanted: Wanted, order: Order, *, after: Place | None = None) -> Iterator[list[Run]]:
    """All runs that fit, page by page, each run once."""
    place = after
    while True:
        found = page(wanted, order, after=place)
        yield found.runs
        if found.next is None:
            return
        place = found.next


def page(wanted: Wanted, order: Order, *, after: Place | None = None, limit: int = PAGE) -> RunsPage:
    """One page."""
    request = paging.page(wanted, order, after=after, limit=limit)
    raw = ask_fast(fast.find(request.body))
    found = ask(request) if raw is None else request.read(raw)
    return RunsPage(_typed(found.runs), found.next)


def count(wanted: Wanted) -> int:
    """How many runs fit."""
    return count_of(wanted.body())


def count_of(body: Json) -> int:
    """How many runs fit a filter of Prefect's."""
    found = ask_fast(fast.count(body))
    return ask(requests.count(body)) if found is None else found


def snapshot(pool: str, wanted: Wanted, order: Order, *, limit: int) -> tuple[list[Json], list[Run]] | None:
    """The queues of a pool with what waits and runs in each, and the first runs that fit; None where the server has no such call."""
    found = ask_fast(fast.snapshot(pool, paging.page(wanted, order, limit=limit).body))
    return None if found is None else (found["queues"], _typed(found["runs"]))


def by_id(ids: Collection[UUID]) -> dict[UUID, Run]:
    """Those of the runs that still exist."""
    asked = [str(one) for one in ids]
    found: dict[UUID, Run] = {}
    for start in range(0, len(asked), PAGE):
        part = asked[start : start + PAGE]
        body = {"flow_runs": {"id": {"any_": part}}, "limit": PAGE}
        raw = ask_fast(fast.find(body))
        raw = ask(requests.find(body)) if raw is None else raw
        found |= {run.id: run for run in _typed(raw)}
    return found


def _is_cancelled_at_once(wanted: Json, answer: Json) -> bool:
    """Prefect puts Cancelled in the place of Cancelling where no process has to stop: it came to wait in this moment."""
    return (
        wanted["type"] == CANCELLING
        and answer["status"] == "REJECT"
        and (answer.get("state") or {}).get("type") == CANCELLED
    )


@dataclass(frozen=True, kw_only=True)
class Transition:
    """What a change of state came to: the new state's id, or why there is none."""

    state_id: UUID | None
    refused: str = ""

    def __bool__(self) -> bool:
        return self.state_id is not None


def transition(
    run_id: UUID,
    state: Json,
    *,
    only_from: Collection[str],
    names: Collection[str] = (),
    state_id: UUID | None = None,
    force: bool = False,
) -> Transition:
    """Set a run's state only if the run is in a state of these types (and names).

    Args:
        state_id: of the very state in which it was read. Prefect's plain server takes no such condition.
        force: past Prefect's own rules; the condition holds all the same.
    """
    mine = identified(state)
    wanted = Wanted(ids=[run_id], types=list(only_from), names=list(names), deployed=False)
    results = None
    if state["type"] != CANCELLING:
        results = ask_fast(fast.change(run_id, mine, types=only_from, names=names, state_id=state_id, force=force))
    if results is None:
        results = ask(requests.set_states(wanted.flow_runs(), mine, force=force, limit=1))
    if results:
        answer = results[0]
        if answer["status"] == "ACCEPT" or _is_cancelled_at_once(state, answer):
            return Transition(state_id=UUID(answer["state"]["id"]))
        reason = (answer.get("details") or {}).get("reason")
        return Transition(state_id=None, refused=str(reason or answer["status"]))
    now = by_id([run_id]).get(run_id)
    if now is None:
        return Transition(state_id=None, refused="it was deleted")
    if now.transition == mine["state_details"]["transition_id"]:
        # The client asked again because the first answer was lost.
        return Transition(state_id=now.state_id)
    return Transition(state_id=None, refused=f"it is {now.state_name}")


def delete_if(ids: Collection[UUID], *, types: Sequence[str], ended_before: datetime | None = None) -> list[UUID]:
    """Delete those of the runs that are still in a state of these types and, if a time is given, ended before; returns which."""
    asked, deleted = list(ids), list[UUID]()
    for start in range(0, len(asked), BULK):
        part = asked[start : start + BULK]
        wanted = Wanted(ids=part, types=types, ended_before=ended_before, deployed=False)
        found = ask(requests.delete_all(wanted.flow_runs(), limit=BULK))
        deleted += map(UUID, found)
    return deleted


def _typed(raw: list[Json]) -> list[Run]:
    _names.learn(run["flow_id"] for run in raw)
    return _runs(raw)


def _runs(raw: list[Json]) -> list[Run]:
    found = []
    for one in raw:
        try:
            found.append(Run.of(one, job=_names[one["flow_id"]]))
        except (ValueError, TypeError, KeyError, AttributeError):
            # An answer nobody foresaw about one run must not hide the others.
            log.exception("run %s cannot be read", one.get("id"))
    return found
