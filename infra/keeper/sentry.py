"""Dead letters as events of Sentry: one for each death. The keeper reports, because it alone sees every death once, however it came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from redrive.blocks import sentry
from redrive.deployments.dead_letters.ledger import Death, Outcome, Recorded


def report(deaths: Iterable[Death], rows: Sequence[Recorded]) -> None:
    """Report each death whose row is new or was reopened; nothing without `SENTRY_DSN`. Never raises."""
    if not sentry.is_asked_for():
        return
    new = {row.dead_state_id: row for row in rows if row.outcome is not Outcome.KNOWN}
    pairs = ((death, new[death.dead_state_id]) for death in deaths if death.dead_state_id in new)
    sentry.send(sentry.event(_failure(death, row)) for death, row in pairs)


def _failure(death: Death, row: Recorded) -> sentry.Failure:
    return sentry.Failure(
        id=death.dead_state_id.hex,
        level="error",
        at=death.last_failure,
        run_id=death.run_id,
        run_name=death.run_name,
        job=death.job,
        queue=death.queue,
        error_type=death.error_type,
        message=death.message,
        traceback=death.traceback or "",
        fingerprint=row.fingerprint,
        tries=death.tries,
        crashes=death.crashes,
        parameters=death.parameters,
        reason=death.reason,
        step=death.step,
        worker=death.worker,
        trace_id=death.trace_id,
        dead_letter=str(row.id) if row.id else None,
    )
