"""One failed try as an event for Sentry, where somebody wants more than dead letters (`REDRIVE_SENTRY_TRIES`)."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from typing import Any

from redrive.blocks import sentry
from redrive.blocks.core.trace_context import TraceContext
from redrive.flows.engine.attempt import Attempt
from redrive.flows.engine.failure import fingerprint_of, own_traceback

log = logging.getLogger("redrive.sentry")


def note_failed_try(attempt: Attempt, error: BaseException, *, key: str, step: str | None, tries: int) -> None:
    """Have a failed try reported once it is known that the job goes on; nothing unless somebody wants that.

    Args:
        attempt: of the job.
        error: what the try raised.
        key: tells the steps of a job apart that run side by side.
        step: its name; None for the job's body.
        tries: which try it was.
    """
    # Cancellations and the like say nothing of the job; a timeout comes as an error of the engine.
    if not sentry.tries_are_asked_for() or not isinstance(error, Exception):
        return
    try:
        attempt.failed_tries.note(key, error, _event(attempt, error, step=step, tries=tries))
    except Exception:  # a job goes on whether or not its tries are reported
        log.warning("a failed try cannot be reported to Sentry", exc_info=True)


def _event(attempt: Attempt, error: Exception, *, step: str | None, tries: int) -> dict[str, Any]:
    at = next((found for text in attempt.trace.values() if (found := TraceContext.read(text))), None)
    named = f"{attempt.id}/{attempt.claim}/{step}/{tries}"
    return sentry.event(
        sentry.Failure(
            id=hashlib.sha256(named.encode()).hexdigest()[:32],
            level="warning",
            at=datetime.now(UTC),
            run_id=attempt.id,
            run_name="",
            job=attempt.job.name,
            queue=attempt.origin.queue,
            error_type=type(error).__qualname__,
            message=str(error),
            traceback=own_traceback(error),
            fingerprint=fingerprint_of(attempt, error, step=step),
            tries=tries,
            crashes=attempt.crashes,
            parameters=attempt.parameters,
            reason="try",
            step=step,
            trace_id=at.trace_id if at else None,
        )
    )
