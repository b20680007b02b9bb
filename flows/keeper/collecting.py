"""Collecting: every job that failed for good gets its row in the ledger.

A tail over finished runs by their end, with an overlap, remembered in the ledger itself: what happened while the keeper or
the ledger was away is found when it is back, and nothing is counted twice.

Danger: the cursor moves only after every page was buried.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from redrive.blocks.prefect_api import api
from redrive.deployments.endings import fate
from redrive.deployments.failure_report import FailureReport, reports_of
from redrive.deployments.ledger import Buried, Death, Ledger, Outcome
from redrive.deployments.run_labels import FIRST_FAILURE, moment
from redrive.flows.keeper.runs import Run, pages

CURSOR = "collected"
#: A run's end is written by its transaction and seen when that commits: so far back a quick look reaches.
OVERLAP = timedelta(seconds=10)
#: And so far a thorough one, for commits that hung.
WIDE_OVERLAP = timedelta(minutes=10)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)

#: How Prefect words an exception in the state of a run that failed before our code could: `…: ValueError: bad`.
_IN_MESSAGE = re.compile(
    r"(?P<type>[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Timeout)\w*)[:(]\s*(?P<said>.*)", re.DOTALL
)

#: Our own verdict (`flows/decision.py`), whose report got lost.
_OUR_VERDICT = re.compile(
    r"dead letter: (?:(?P<tries>\d+ of \d+ tries failed)|(?P<permanent>permanent error)|deadline passed)"
    r".*?\((?P<type>\w+)\)(?:: (?P<said>.*))?$",
    re.DOTALL,
)
#: How Prefect says that a process ended by an exception of Python, as a missing module or wrong parameters do, not by a signal.
_RAISED = re.compile(r"(?:status|exit) code:? 1\b")
#: The last line of a traceback: `package.SomeError: what it said`.
_LAST_LINE = re.compile(r"^(?:[\w.]+\.)?(?P<type>[A-Z]\w*)(?:: (?P<said>.*))?$")

#: Log lines of a run that are read for its traceback when it left no report, and how far below ERROR none are.
LOG_LINES = 10
ERROR = 40


@dataclass(frozen=True, kw_only=True)
class Why:
    """What is known of a failure."""

    error_type: str
    message: str
    reason: str
    traceback: str | None = None
    step: str | None = None


class Collector:
    """Brings final failures from Prefect into the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def sweep(self, *, wide: bool = False) -> list[Buried]:
        """Bury what failed since the last sweep; returns what was new or reopened."""
        cursor = moment(self._ledger.cursor(CURSOR)) or BEGINNING
        since = max(BEGINNING, cursor - (WIDE_OVERLAP if wide else OVERLAP))
        newest, buried = cursor, []
        for page in pages(types=["FAILED", "CANCELLED"], ended_after=since):
            dead = [run for run in page if fate(run.state_type, run.message) == "dead"]
            buried += self._bury(dead)
            newest = max([newest, *(run.end_time for run in page if run.end_time)])
        if newest > cursor:
            self._ledger.set_cursor(CURSOR, newest.isoformat())
        return buried

    def _bury(self, dead: Sequence[Run]) -> list[Buried]:
        known = self._ledger.known(run.state_id for run in dead)
        new = [run for run in dead if run.state_id not in known]
        if not new:
            return []
        reports = reports_of([run.id for run in new])
        deaths = [death(run, _reported(reports[run.id]) if run.id in reports else _without_report(run)) for run in new]
        return [one for one in self._ledger.bury_all(deaths) if one.outcome is not Outcome.KNOWN]


def death(run: Run, why: Why) -> Death:
    """What the ledger is told of a run that ended badly."""
    return Death(
        run_id=run.id,
        dead_state_id=run.state_id,
        last_failure=run.since,
        first_failure=moment(run.labels.get(FIRST_FAILURE)),
        job=run.job,
        queue=run.queue,
        error_type=why.error_type,
        message=why.message,
        reason=why.reason,
        traceback=why.traceback,
        step=why.step,
        parameters=run.parameters,
        tags=run.tags,
        tries=run.tries,
        crashes=run.crashes,
        deployment_id=run.deployment_id,
        flow_id=run.flow_id,
        flow_name=run.job,
        run_name=run.name,
        worker=run.worker,
        **asdict(run.spent),
    )


def _reported(report: FailureReport) -> Why:
    return Why(
        error_type=report.error_type,
        message=report.message,
        reason=report.reason,
        traceback=report.traceback,
        step=report.step,
    )


def _without_report(run: Run) -> Why:
    """From the run's last state and its log: it crashed too often, or failed before our code could say why."""
    if crash := re.search(
        r"dead letter: crashed \d+ times, \d+ are allowed \((?P<cause>.*)\)$", run.message, re.DOTALL
    ):
        return _unstartable(run, crash["cause"]) or Why(error_type="Crashed", message=crash["cause"], reason="crash")
    if ours := _OUR_VERDICT.match(run.message):
        reason = "tries" if ours["tries"] else "permanent" if ours["permanent"] else "deadline"
        said = ours["said"] or run.message
        return Why(error_type=ours["type"], message=said, reason=reason, traceback=_logged_traceback(run.id))
    if run.state_type == "CANCELLED":
        return Why(error_type="DeploymentMissing", message=run.message, reason="cancelled")
    traceback = _logged_traceback(run.id)
    if said := _IN_MESSAGE.search(run.message):
        return Why(
            error_type=said["type"], message=said["said"] or run.message, reason="unstartable", traceback=traceback
        )
    return Why(
        error_type=run.state_name,
        message=run.message or "failed without a message",
        reason="unstartable",
        traceback=traceback,
    )


def _unstartable(run: Run, cause: str) -> Why | None:
    """The exception that ended the job's process before our code could start, if it was one: that is the cause people can mend."""
    traceback = _logged_traceback(run.id) if _RAISED.search(cause) else None
    last = _LAST_LINE.match(traceback.rstrip().splitlines()[-1]) if traceback else None
    if last is None:
        return None
    return Why(error_type=last["type"], message=last["said"] or cause, reason="unstartable", traceback=traceback)


def _logged_traceback(run_id: UUID) -> str | None:
    body: dict[str, Any] = {
        "logs": {"flow_run_id": {"any_": [str(run_id)]}, "level": {"ge_": ERROR}},
        "sort": "TIMESTAMP_DESC",
        "limit": LOG_LINES,
    }
    for line in api().request("POST", "/logs/filter", json=body).json():
        if "Traceback (most recent call last)" in line["message"]:
            return str(line["message"])
    return None
