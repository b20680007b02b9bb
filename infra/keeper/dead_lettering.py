"""Dead-lettering: a run that failed for good gets its row in the ledger, whatever it looks like.

Danger: one record that nobody foresaw must not keep the others out. It becomes a row with what is known; if not even that is
possible, it is named in the result, and the audit finds it again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import httpx

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.prefect.run import Run
from redrive.deployments.dead_letters.failure_report import FailureReport
from redrive.deployments.dead_letters.ledger import Death, Ledger, Outcome, Recorded
from redrive.deployments.dead_letters.outcomes import Spent
from redrive.infra.keeper import sentry
from redrive.infra.keeper.causes import FailureFacts, bare, reported, without_report
from redrive.infra.keeper.reports import reports_of_deaths

log = logging.getLogger("redrive.keeper")

#: What says that the ledger or Prefect is unavailable, which is no fault of one record.
UNAVAILABLE = (RedriveError, httpx.HTTPError)


@dataclass(frozen=True)
class DeadLettered:
    """What dead-lettering some runs did: `rows` that are new or reopened, runs that were `refused`."""

    rows: list[Recorded] = field(default_factory=list)
    refused: list[Run] = field(default_factory=list)


def dead_letter(ledger: Ledger, dead: Sequence[Run]) -> DeadLettered:
    """Write rows of the runs whose final state the ledger does not know yet; at most one page of runs."""
    known = ledger.known(run.state_id for run in dead)
    new = [run for run in dead if run.state_id not in known]
    if not new:
        return DeadLettered()
    reports = reports_of_deaths(new)
    deaths, refused = [], []
    for run in new:
        made = _death(run, reports.get(run.id))
        if made is None:
            refused.append(run)
        else:
            deaths.append((run, made))
    try:
        rows = ledger.record_all([made for _, made in deaths])
    except UNAVAILABLE:
        raise
    except Exception:  # noqa: BLE001  (whatever one record may cause in the database)
        rows = _one_by_one(ledger, deaths, refused)
    sentry.report([made for _, made in deaths], rows)
    return DeadLettered([row for row in rows if row.outcome is not Outcome.KNOWN], refused)


def death(run: Run, cause: FailureFacts) -> Death:
    """What the ledger is told of a run that ended badly."""
    return Death(
        run_id=run.id,
        dead_state_id=run.state_id,
        last_failure=run.since,
        first_failure=run.labels.first_failure,
        job=run.job,
        queue=run.queue,
        error_type=cause.error_type,
        message=cause.message,
        reason=cause.reason,
        traceback=cause.traceback,
        step=cause.step,
        parameters=run.parameters,
        tags=run.tags,
        tries=run.labels.tries,
        crashes=run.labels.crashes,
        deployment_id=run.deployment_id,
        flow_id=run.flow_id,
        flow_name=run.job,
        run_name=run.name,
        worker=run.labels.worker,
        effect_key=run.effect_key,
        trace_id=run.labels.traced.trace_id if run.labels.traced else None,
        **asdict(Spent.of_run(run)),
    )


def _death(run: Run, report: FailureReport | None) -> Death | None:
    try:
        return death(run, without_report(run) if report is None else reported(report))
    except UNAVAILABLE:
        raise
    except Exception:
        log.exception("the failure of job %s cannot be read; its row has what is known", run.id)
    return _bare_death(run)


def _bare_death(run: Run) -> Death | None:
    """Of what cannot be foreign: ids, names and times, and the state's own words."""
    try:
        cause = bare(run)
        return Death(
            run_id=run.id,
            dead_state_id=run.state_id,
            last_failure=run.since,
            job=run.job,
            queue=run.queue,
            error_type=cause.error_type,
            message=cause.message,
            reason=cause.reason,
            deployment_id=run.deployment_id,
            flow_id=run.flow_id,
            flow_name=run.job,
            run_name=run.name,
            effect_key=run.effect_key,
        )
    except (ValueError, TypeError):
        log.exception("job %s failed, and cannot be given a row", run.id)
        return None


def _one_by_one(ledger: Ledger, deaths: Sequence[tuple[Run, Death]], refused: list[Run]) -> list[Recorded]:
    """Write each for itself; of one that the database refuses, what is known. Adds to `refused` what is refused altogether."""
    rows: list[Recorded] = []
    for run, made in deaths:
        for one in (made, _bare_death(run)):
            if one is None:
                continue
            try:
                rows.append(ledger.record(one))
                break
            except UNAVAILABLE:
                raise
            except Exception:
                log.exception("the ledger refuses the row of job %s", run.id)
        else:
            refused.append(run)
    return rows
