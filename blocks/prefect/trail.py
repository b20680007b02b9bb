"""What a run left behind it: the states it was in, and what it published."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.fast_calls import ask_fast
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import artifacts, fast, runs
from redrive.blocks.prefect.states import PastState


@dataclass(frozen=True, kw_only=True)
class Trail:
    """The states, the oldest first; and the artifacts as the API gives them, the newest first, results left out."""

    states: list[PastState]
    artifacts: list[Json]


def trail_of(run_id: UUID, *, most: int) -> Trail:
    """All states of a run, and at most so many artifacts."""
    found = ask_fast(fast.trail(run_id, most))
    if found is not None:
        states = [PastState.of(one) for one in found["states"]]
        return Trail(states=states, artifacts=found["artifacts"])
    wanted = {"flow_run_id": {"any_": [str(run_id)]}, "type": {"not_any_": ["result"]}}
    published = ask(artifacts.find({"artifacts": wanted, "sort": "CREATED_DESC", "limit": most}))
    return Trail(states=states_of(run_id), artifacts=published)


def states_of(run_id: UUID) -> list[PastState]:
    """Every state a run was in, the oldest first."""
    return [PastState.of(one) for one in ask(runs.history(run_id))]
