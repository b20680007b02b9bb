"""Failed tries for Sentry, where somebody wants more than dead letters (`REDRIVE_SENTRY_TRIES`).

A try is told of once another one follows it, or the job goes on without: the last one of a dead job is the dead letter's, which the
keeper reports.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from redrive.blocks import sentry
from redrive.blocks.process import failed_tries
from redrive.blocks.tracing.trace_context import TraceContext
from redrive.flows.engine.causes_of import causes_of
from redrive.flows.engine.failure_report import fingerprint_of, own_traceback

if TYPE_CHECKING:
    from redrive.flows.engine.attempt import Attempt

log = logging.getLogger("redrive.sentry")


class FailedTries:
    """Those of one attempt, each until it is known what follows. Does nothing unless somebody wants it."""

    def __init__(self) -> None:
        self._pending: dict[str, tuple[BaseException, dict[str, Any]]] = {}

    def note(self, attempt: Attempt, error: BaseException, *, key: str, step: str | None, tries: int) -> None:
        """A try failed; `key` tells the steps of a job apart that run side by side."""
        # Cancellations and the like say nothing of the job; a timeout comes as an error of the engine.
        if not sentry.tries_are_asked_for() or not isinstance(error, Exception):
            return
        try:
            self._pending[key] = (error, _event(attempt, error, step=step, tries=tries))
        except Exception:  # a job needs nobody to be told
            log.warning("a failed try cannot be reported to Sentry", exc_info=True)

    def followed(self, key: str) -> None:
        """Another try follows."""
        if noted := self._pending.pop(key, None):
            _announce(noted[1])

    def survived(self) -> None:
        """The job goes on, or is done, in spite of all of them."""
        for key in tuple(self._pending):
            self.followed(key)

    def died(self, error: BaseException) -> None:
        """The job is a dead letter by this error, of which the keeper tells."""
        chain = set(causes_of(error))
        self._pending = {key: noted for key, noted in self._pending.items() if id(noted[0]) not in chain}
        self.survived()

    def knows(self, error: BaseException) -> bool:
        """Whether it was noted, by the step that raised it."""
        chain = set(causes_of(error))
        return any(id(noted) in chain for noted, _ in self._pending.values())


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


def _announce(event: dict[str, Any]) -> None:
    try:
        failed_tries.announce(event)
    except OSError:
        # The worker is gone; the job goes on.
        log.debug("a failed try could not be handed over", exc_info=True)
