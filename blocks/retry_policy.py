"""The retry policy as a block, so that it can be changed in Prefect's UI without a deploy: `retry-policy/<job type>`.

Danger: a policy saved there may be impossible; then the declared one stays in force and the job's log says so.
"""

from __future__ import annotations

from typing import Any

import httpx
from prefect.blocks.core import Block
from prefect.logging import get_logger
from pydantic import Field, HttpUrl

from redrive.blocks.core.errors import PolicyError
from redrive.blocks.core.remembered import Remembered
from redrive.blocks.core.retry import Exponential, RetryPolicy
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import blocks

#: Seconds a read override is used again: the contract of DESIGN.md.
CACHE_SECONDS = 10.0

_read = Remembered[str, dict[str, object]](CACHE_SECONDS)


class RetryPolicyBlock(Block):
    """Overrides the retry policy of one job type. Empty fields keep what the code says; times are seconds."""

    _block_type_name = "Retry Policy"
    _block_type_slug = "retry-policy"
    _description = (
        "How often, how fast and how long the failing jobs of one job type are tried again. "
        "Name it like the job type; jobs pick it up at their next start."
    )
    _logo_url = HttpUrl("https://raw.githubusercontent.com/tabler/tabler-icons/main/icons/outline/refresh.svg")
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/how-to-guides/workflows/retries")

    max_tries: int | None = Field(None, title="Tries at most", description="The first time included; 1 means no retry.")
    backoff: list[float] | None = Field(
        None, title="Delays", description="Seconds before each further try; the last one repeats."
    )
    exponential: Exponential | None = Field(
        None, title="Exponential delays", description="Instead of a list of delays."
    )
    jitter: float | None = Field(None, title="Jitter", description="0 (none) to 1 (up to double).")
    timeout: float | None = Field(None, title="Timeout of one try", description="Seconds.")
    retry_until: float | None = Field(None, title="Deadline", description="Seconds after the first start.")
    max_crashes: int | None = Field(None, title="Crashes at most", description="Process deaths that are started again.")
    hold_slot: float | None = Field(
        None, title="Hold the slot", description="Waits up to this many seconds stay in the process."
    )
    never_on: list[str] | None = Field(
        None, title="Permanent errors", description="Class names that are never retried."
    )


def effective_policy(job: str, declared: RetryPolicy) -> RetryPolicy:
    """The declared policy with what `retry-policy/<job>` overrides; the declared one if there is none or it cannot work."""
    given: dict[str, Any] = dict(_override(job))
    if (exponential := given.pop("exponential", None)) is not None:
        given["backoff"] = exponential
    if not given:
        return declared
    try:
        return RetryPolicy(**{**declared.model_dump(), **given})
    except PolicyError as error:
        get_logger("redrive.retry").warning("block retry-policy/%s is ignored: %s", job, error)
        return declared


def _override(job: str) -> dict[str, object]:
    fresh = _read.fresh(job, None)
    if fresh is not None:
        return fresh
    try:
        document = ask(blocks.named("retry-policy", job).or_none()) or {"data": {}}
        found = {k: v for k, v in document["data"].items() if v is not None and k in RetryPolicyBlock.model_fields}
    except httpx.HTTPError as error:
        # The job itself can still run by what its code declares; the engine reports an API that stays unavailable.
        get_logger("redrive.retry").warning(
            "block retry-policy/%s could not be read (%s); the declared policy applies", job, error
        )
        found = _read.whatever_age(job, {})
    return _read.keep(job, found)
