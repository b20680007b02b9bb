"""The labels `redrive.*` on a flow run: the home of tries, crashes and first start, and who wrote what.

Danger: label values are JSON scalars; times are written as ISO 8601 text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from redrive.blocks.prefect.labels import (
    ATTEMPT,
    CRASH_COUNTED,
    CRASHES,
    FIRST_FAILURE,
    FIRST_START,
    KEY,
    REDRIVEN_AT,
    REPLACED_BY,
    REPLACES,
    RESCUES,
    RETRIES,
    TRIES,
    WORKER,
    moment,
)

if TYPE_CHECKING:
    # Whoever only reads labels need not wait for Prefect.
    from prefect.client.schemas.objects import State

__all__ = [
    "ASKED",
    "ATTEMPT",
    "CRASHES",
    "CRASH_COUNTED",
    "DEAD_LETTER",
    "DRAWN",
    "FIRST_FAILURE",
    "FIRST_START",
    "KEY",
    "REDRIVEN_AT",
    "REPLACED_BY",
    "REPLACES",
    "RESCUES",
    "RETRIES",
    "TRIES",
    "WORKER",
    "died_since",
    "effect_key",
    "fresh_count",
    "moment",
]

#: How a key begins that nobody gave: it was drawn for one request.
DRAWN = "request-"
#: Drawn anew for each request to enqueue, so that the answer tells a new job from the one that was there.
ASKED = "redrive.asked"

DEAD_LETTER = "DeadLetter"


def fresh_count(now: datetime) -> dict[str, Any]:
    """The labels of a job that is redriven: nothing was tried yet."""
    return {
        TRIES: 0,
        CRASHES: 0,
        RETRIES: 0,
        RESCUES: 0,
        FIRST_START: "",
        FIRST_FAILURE: "",
        REDRIVEN_AT: now.isoformat(),
    }


def effect_key(labels: Mapping[str, Any], idempotency_key: str | None, run_id: object) -> str:
    """What effects carry so that they happen once: the same in every try, redrive and replacement of a job."""
    return str(labels.get(KEY) or idempotency_key or run_id)


def died_since(history: Iterable[State[Any]], since: datetime | None) -> bool:
    """Whether the state history shows a final failure later than `since`, that is, a redrive that nobody counted yet."""
    return any(
        state.type == "FAILED" and state.timestamp is not None and (since is None or state.timestamp > since)
        for state in history
    )
