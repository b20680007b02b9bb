"""The labels `redrive.*` on a flow run: the home of tries, crashes and first start, and who wrote what.

Danger: label values are JSON scalars; times are written as ISO 8601 text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from redrive.blocks.prefect.labels import (
    ASKED,
    ATTEMPT,
    CRASH_COUNTED,
    CRASHES,
    DEATH_COUNTED,
    ERROR,
    ERROR_MESSAGE,
    FIRST_FAILURE,
    FIRST_START,
    HARD_TIMEOUT,
    KEY,
    OWN_TRIES,
    REASON,
    REDRIVEN_AT,
    REPLACED_BY,
    REPLACES,
    RESCUES,
    RETRIES,
    TIMED_OUT_STEP,
    TRIES,
    WORKER,
    Labels,
    moment,
)
from redrive.blocks.prefect.past import with_death
from redrive.blocks.prefect.states import DEAD_LETTER

__all__ = [
    "ASKED",
    "ATTEMPT",
    "CRASHES",
    "CRASH_COUNTED",
    "DEAD_LETTER",
    "DEATH_COUNTED",
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
    "effect_key",
    "fresh_count",
    "moment",
    "step_that_timed_out",
    "timed_out",
]

#: How a key begins that nobody gave: it was drawn for one request.
DRAWN = "request-"


def fresh_count(now: datetime, *, death: object, counted: Iterable[str] = ()) -> dict[str, Any]:
    """The labels of a job that is redriven: nothing was tried yet since `death`, the id of the state that it leaves.

    Args:
        counted: the deaths before, as its labels have them.
    """
    return {
        TRIES: 0,
        OWN_TRIES: "",
        CRASHES: 0,
        RETRIES: 0,
        RESCUES: 0,
        FIRST_START: "",
        FIRST_FAILURE: "",
        # What the death before was about must not be taken for the next one.
        REASON: "",
        ERROR: "",
        ERROR_MESSAGE: "",
        **timed_out(0),
        DEATH_COUNTED: with_death(counted, death),
        REDRIVEN_AT: now.isoformat(),
    }


def timed_out(tries: int, *, step: str = "", own: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The labels of a job whose process was killed because a step outlived its timeout; with 0 tries, that none did.

    Args:
        tries: of the step, this one included.
        step: its name.
        own: its policy, if it has one of its own.
    """
    return {HARD_TIMEOUT: tries, TIMED_OUT_STEP: json.dumps({"step": step, "policy": own}) if own else ""}


def step_that_timed_out(labels: Labels) -> tuple[str, Mapping[str, Any]] | None:
    """Name and policy of the step that `timed_out` named; None for one that follows its job's policy."""
    try:
        noted = json.loads(labels.timed_out_step or "{}")
        return (str(noted["step"]), dict(noted["policy"])) if noted else None
    except (ValueError, TypeError, KeyError):
        return None


def effect_key(labels: Mapping[str, Any], idempotency_key: str | None, run_id: object) -> str:
    """What effects carry so that they happen once: the same in every try, redrive and replacement of a job."""
    return str(labels.get(KEY) or idempotency_key or run_id)
