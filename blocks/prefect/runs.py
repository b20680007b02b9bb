"""Reading and changing flow runs through Prefect's API.

Pages go by keyset: each begins where the one before stopped, at a time and without the runs seen at that time. Pages by number
would skip runs while others leave their state in the middle.

Danger: `transition` and `delete_if` carry their condition in the call. The server finds the runs that fit and changes each under a
lock right after: a moment remains in between, so what is decided is decided on a run that was just read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Self
from uuid import UUID, uuid4

from prefect.client.schemas.objects import State

from redrive.blocks.prefect.client import api
from redrive.blocks.prefect.run import Run

log = logging.getLogger("redrive.prefect")

#: Prefect's own limit of runs a call.
PAGE = 200
#: And of runs that one bulk call deletes.
BULK = 50
#: Before and after every run.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(9000, 1, 1, tzinfo=UTC)

_flow_names: dict[str, str] = {}


class Order(Enum):
    """By which time pages go: field of a run, Prefect's name of the order, and whether it is the latest first."""

    ENDED = ("end_time", "END_TIME_DESC", True)
    #: When the run was first to start; unlike other times it never changes.
    EXPECTED = ("expected_start_time", "EXPECTED_START_TIME_ASC", False)
    DUE = ("next_scheduled_start_time", "NEXT_SCHEDULED_START_TIME_ASC", False)
    #: By the same time as `EXPECTED`, as people read lists.
    LATEST = ("expected_start_time", "EXPECTED_START_TIME_DESC", True)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which runs; every condition that is given must hold. `queues`, `pools` and `jobs` are names, times are inclusive."""

    types: Sequence[str] = ()
    names: Sequence[str] = ()
    #: Names of states that do not fit.
    not_names: Sequence[str] = ()
    run_names: Sequence[str] = ()
    jobs: Sequence[str] = ()
    queues: Sequence[str] = ()
    pools: Sequence[str] = ()
    ids: Sequence[UUID] = ()
    ended_after: datetime | None = None
    ended_before: datetime | None = None
    due_before: datetime | None = None
    due_after: datetime | None = None
    expected_after: datetime | None = None
    #: A run without a deployment is no job: nobody could start it again.
    deployed: bool = True

    def flow_runs(self) -> dict[str, Any]:
        """As Prefect's filter of flow runs; the pools are a filter of their own."""
        state: dict[str, Any] = {}
        if self.types:
            state["type"] = {"any_": list(self.types)}
        if self.names:
            state["name"] = {"any_": list(self.names)}
        if self.not_names:
            state.setdefault("name", {})["not_any_"] = list(self.not_names)
        found: dict[str, Any] = {"state": state} if state else {}
        if self.run_names:
            found["name"] = {"any_": list(self.run_names)}
        if self.deployed:
            found["deployment_id"] = {"is_null_": False}
        if self.ids:
            found["id"] = {"any_": [str(one) for one in self.ids]}
        if ended := _span(self.ended_after, self.ended_before):
            found["end_time"] = ended
        if due := _span(self.due_after, self.due_before):
            found["next_scheduled_start_time"] = due
        if expected := _span(self.expected_after, None):
            found["expected_start_time"] = expected
        return found

    def body(self) -> dict[str, Any]:
        named = {"work_pools": self.pools, "work_pool_queues": self.queues, "flows": self.jobs}
        others = {kind: {"name": {"any_": list(names)}} for kind, names in named.items() if names}
        return {"flow_runs": self.flow_runs(), **others}


@dataclass(frozen=True)
class Place:
    """Where a page ended: the time of its last run, and the runs with that very time seen so far."""

    at: datetime
    seen: tuple[UUID, ...] = ()

    def text(self) -> str:
        return json.dumps({"at": self.at.isoformat(), "seen": [str(one) for one in self.seen]})

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """None if there is none, or it was written by somebody else."""
        try:
            found = json.loads(text) if text else None
            return cls(datetime.fromisoformat(found["at"]), tuple(map(UUID, found["seen"]))) if found else None
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class Page:
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


def page(wanted: Wanted, order: Order, *, after: Place | None = None, limit: int = PAGE) -> Page:
    """One page."""
    field, sort, descending = order.value
    body = wanted.body()
    place = after or Place(wanted.ended_before or END if descending else BEGINNING)
    body["flow_runs"].setdefault(field, {})["before_" if descending else "after_"] = place.at.isoformat()
    if place.seen:
        body["flow_runs"].setdefault("id", {})["not_any_"] = [str(one) for one in place.seen]
    raw = _filter({**body, "sort": sort, "limit": limit})
    if len(raw) < limit:
        return Page(_runs(raw), None)
    last = datetime.fromisoformat(raw[-1][field])
    seen = tuple(UUID(one["id"]) for one in raw if datetime.fromisoformat(one[field]) == last)
    return Page(_runs(raw), Place(last, (*place.seen, *seen) if last == place.at else seen))


def by_id(ids: Collection[UUID]) -> dict[UUID, Run]:
    """Those of the runs that still exist."""
    asked = [str(one) for one in ids]
    found: dict[UUID, Run] = {}
    for start in range(0, len(asked), PAGE):
        part = asked[start : start + PAGE]
        raw = _filter({"flow_runs": {"id": {"any_": part}}, "limit": PAGE})
        found |= {run.id: run for run in _runs(raw)}
    return found


def _is_cancelled_at_once(wanted: State[Any], answer: dict[str, Any]) -> bool:
    """Prefect puts Cancelled in the place of Cancelling where no process has to stop: it came to wait in this moment."""
    return (
        wanted.type.value == "CANCELLING"
        and answer["status"] == "REJECT"
        and (answer.get("state") or {}).get("type") == "CANCELLED"
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
    state: State[Any],
    *,
    only_from: Collection[str],
    names: Collection[str] = (),
    force: bool = False,
) -> Transition:
    """Set a run's state only if the run is in a state of these types (and names).

    Args:
        force: past Prefect's own rules; the condition holds all the same.
    """
    given = state.model_dump(mode="json", include={"type", "name", "message", "data"})
    details = state.state_details.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    mine = str(uuid4())
    found = api().request(
        "POST",
        "/flow_runs/bulk_set_state",  # type: ignore[arg-type]  # Prefect's list of routes forgets it
        json={
            "flow_runs": Wanted(ids=[run_id], types=list(only_from), names=list(names), deployed=False).flow_runs(),
            "state": {**given, "state_details": {**details, "transition_id": mine}},
            "force": force,
            "limit": 1,
        },
    )
    results: list[dict[str, Any]] = found.json()["results"]
    if results:
        answer = results[0]
        if answer["status"] == "ACCEPT" or _is_cancelled_at_once(state, answer):
            return Transition(state_id=UUID(answer["state"]["id"]))
        reason = (answer.get("details") or {}).get("reason")
        return Transition(state_id=None, refused=str(reason or answer["status"]))
    now = by_id([run_id]).get(run_id)
    if now is None:
        return Transition(state_id=None, refused="it was deleted")
    if now.transition == mine:
        # The client asked again because the first answer was lost.
        return Transition(state_id=now.state_id)
    return Transition(state_id=None, refused=f"it is {now.state_name}")


def delete_if(ids: Collection[UUID], *, types: Sequence[str], ended_before: datetime) -> list[UUID]:
    """Delete those of the runs that are still in a state of these types and ended before; returns which."""
    asked, deleted = list(ids), []
    for start in range(0, len(asked), BULK):
        part = asked[start : start + BULK]
        wanted = Wanted(ids=part, types=types, ended_before=ended_before, deployed=False)
        answer = api().request(
            "POST",
            "/flow_runs/bulk_delete",  # type: ignore[arg-type]  # newer than Prefect's own list of routes
            json={"flow_runs": wanted.flow_runs(), "limit": BULK},
        )
        deleted += [UUID(one) for one in answer.json()["deleted"]]
    return deleted


def states_of(run_id: UUID) -> list[State[Any]]:
    """Every state a run was in."""
    return api().read_flow_run_states(run_id)


def _span(after: datetime | None, before: datetime | None) -> dict[str, str]:
    found = {"after_": after, "before_": before}
    return {name: at.isoformat() for name, at in found.items() if at is not None}


def _filter(body: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api().request("POST", "/flow_runs/filter", json=body).json()
    _learn_flow_names({run["flow_id"] for run in found})
    return found


def _runs(raw: list[dict[str, Any]]) -> list[Run]:
    found = []
    for one in raw:
        try:
            found.append(Run.of(one, job=_flow_names.get(one["flow_id"], "unknown")))
        except (ValueError, TypeError, KeyError, AttributeError):
            # An answer nobody foresaw about one run must not hide the others.
            log.exception("run %s cannot be read", one.get("id"))
    return found


def _learn_flow_names(ids: set[str]) -> None:
    unknown = sorted(ids - _flow_names.keys())
    if unknown:
        body = {"flows": {"id": {"any_": unknown}}, "limit": PAGE}
        _flow_names.update(
            (flow["id"], flow["name"]) for flow in api().request("POST", "/flows/filter", json=body).json()
        )
