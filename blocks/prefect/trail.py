"""What a run left behind it: the states it was in, the tries of its steps that it waited after, and what it published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.fast_calls import ask_fast
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import artifacts, fast, runs, steps
from redrive.blocks.prefect.states import AWAITING_RETRY, PastState

#: Steps whose tries are read one by one where the server has no call of our own, the newest of them.
READ_SINGLY: Final = 5
#: Steps that are looked through for those.
STEPS: Final = 200


@dataclass(frozen=True, kw_only=True)
class StepTry:
    """A try of a step that failed at `at`, after which the process itself waited until `next` for another."""

    step: str
    at: datetime
    next: datetime | None

    @classmethod
    def of(cls, name: str, state: Json) -> StepTry:
        """From the name of a task run and one of its states."""
        due = (state.get("state_details") or {}).get("scheduled_time")
        return cls(
            # Prefect's name of a step's run ends in a dash and what tells it from others of that name.
            step=name.rpartition("-")[0] or name,
            at=datetime.fromisoformat(state["timestamp"]).astimezone(UTC),
            next=datetime.fromisoformat(due).astimezone(UTC) if due else None,
        )


@dataclass(frozen=True, kw_only=True)
class Trail:
    """The states, the oldest first, and so the tries; and the artifacts as the API gives them, the newest first, results left out."""

    states: list[PastState]
    tries: list[StepTry]
    artifacts: list[Json]


def trail_of(run_id: UUID, *, most: int) -> Trail:
    """All states of a run, and at most so many artifacts."""
    found = ask_fast(fast.trail(run_id, most))
    if found is not None:
        # A server of the release before has no tries.
        tries = [StepTry.of(one["name"], one) for one in found.get("tries", ())]
        return Trail(states=[PastState.of(one) for one in found["states"]], tries=tries, artifacts=found["artifacts"])
    wanted = {"flow_run_id": {"any_": [str(run_id)]}, "type": {"not_any_": ["result"]}}
    published = ask(artifacts.find({"artifacts": wanted, "sort": "CREATED_DESC", "limit": most}))
    tries = sorted(_tries(run_id), key=lambda one: one.at)
    return Trail(states=states_of(run_id), tries=tries, artifacts=published)


def states_of(run_id: UUID) -> list[PastState]:
    """Every state a run was in, the oldest first."""
    return [PastState.of(one) for one in ask(runs.history(run_id))]


def _tries(run_id: UUID) -> Iterator[StepTry]:
    tried_again = [one for one in ask(steps.of_run(run_id, limit=STEPS)) if one["run_count"] > 1]
    for step in tried_again[:READ_SINGLY]:
        for state in ask(steps.history(step["id"])):
            if state["name"] == AWAITING_RETRY:
                yield StepTry.of(step["name"], state)
