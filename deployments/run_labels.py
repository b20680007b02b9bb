"""The labels `redrive.*` on a flow run: the home of tries, crashes and first start, and who wrote what.

Danger: label values are JSON scalars; times are written as ISO 8601 text.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Whoever only reads labels need not wait for Prefect.
    from prefect.client.schemas.objects import State

TRIES = "redrive.tries"
CRASHES = "redrive.crashes"
FIRST_START = "redrive.first_start"
#: Tries that were followed by another one, of all steps, since tries were counted afresh.
RETRIES = "redrive.retries"
#: Crashes that were followed by another start, since then.
RESCUES = "redrive.rescues"
#: The Crashed state that `CRASHES` counted last: a rescue that was cut off must not count it again.
CRASH_COUNTED = "redrive.crash_counted"
#: First failed try since tries were counted afresh.
FIRST_FAILURE = "redrive.first_failure"
#: When tries were last counted afresh.
REDRIVEN_AT = "redrive.redriven_at"
#: The idempotency key, as given.
KEY = "redrive.key"
#: Drawn anew for each request to enqueue, so that the answer tells a new job from the one that was there.
ASKED = "redrive.asked"
#: The dead job that this one replaces with edited parameters.
REPLACES = "redrive.replaces"
#: And on the dead job: which one replaces it; empty if it was deleted.
REPLACED_BY = "redrive.replaced_by"

DEAD_LETTER = "DeadLetter"


#: Set by Prefect: the worker that took the run.
WORKER = "prefect.worker.name"


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


def moment(value: Any) -> datetime | None:
    """The time in a label; None if there is none or it cannot be read."""
    try:
        return datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None


def died_since(history: Iterable[State[Any]], since: datetime | None) -> bool:
    """Whether the state history shows a final failure later than `since`, that is, a redrive that nobody counted yet."""
    return any(
        state.type == "FAILED" and state.timestamp is not None and (since is None or state.timestamp > since)
        for state in history
    )
