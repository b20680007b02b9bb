"""Which failure report is about this very end of a run, and not about one before it.

Danger: a run that was redriven and killed has the report of its end before, with another cause, still lying on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.past import last_of
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.states import RUNNING
from redrive.deployments.dead_letters.failure_report import FailureReport, LeftReport, all_reports_of


def reports_of_deaths(dead: Sequence[Run]) -> dict[UUID, FailureReport]:
    """The report of each run's last attempt, of the runs that left one; at most 200 runs."""
    left = all_reports_of([run.id for run in dead])
    found = {run.id: _of_last_attempt(run, left[run.id]) for run in dead if run.id in left}
    return {run_id: report for run_id, report in found.items() if report is not None}


def _of_last_attempt(run: Run, left: Sequence[LeftReport]) -> FailureReport | None:
    newest = left[0]
    if run.run_count <= 1:
        return newest.report
    if newest.report.attempt and run.labels.attempt:
        return newest.report if newest.report.attempt == run.labels.attempt else None
    began = _last_start(run)
    return newest.report if began is None or newest.at >= began else None


def _last_start(run: Run) -> datetime | None:
    """When its last attempt began to run, by the server's clock, as is the time of a report."""
    started = last_of(runs.states_of(run.id), RUNNING, now=run.state_id)
    return started.timestamp if started else None
