"""Causes: why a run failed for good, read from its failure report, or from its last state and its log."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import logs
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.states import DEAD_LETTER
from redrive.blocks.tracing.log_lines import unmarked
from redrive.deployments.dead_letters.failure_report import FailureReport

#: How Prefect words an exception in the state of a run that failed before our code could: `…: ValueError: bad`.
_IN_MESSAGE = re.compile(
    r"(?P<type>[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Timeout)\w*)[:(]\s*(?P<said>.*)", re.DOTALL
)

#: How Prefect says that a process ended by an exception of Python, as a missing module or wrong parameters do, not by a signal.
_RAISED = re.compile(r"(?:status|exit) code:? 1\b")
#: The last line of a traceback: `package.SomeError: what it said`.
_LAST_LINE = re.compile(r"^(?:[\w.]+\.)?(?P<type>[A-Z]\w*)(?:: (?P<said>.*))?$")

#: Log lines of a run that are read for its traceback when it left no report, and how far below ERROR none are.
LOG_LINES = 10
ERROR = 40


@dataclass(frozen=True, kw_only=True)
class FailureFacts:
    """What is known of a failure."""

    error_type: str
    message: str
    reason: str
    traceback: str | None = None
    step: str | None = None


def reported(report: FailureReport) -> FailureFacts:
    """From the report the job left."""
    return FailureFacts(
        error_type=report.error_type,
        message=report.message,
        reason=report.reason,
        traceback=report.traceback,
        step=report.step,
    )


def without_report(run: Run) -> FailureFacts:
    """From the run's last state and its log: it crashed too often, or failed before our code could say why."""
    reason, error = run.labels.reason, run.labels.error
    if run.state_name == DEAD_LETTER and reason and error:
        if reason == "crash":
            return _unstartable(run, error) or FailureFacts(error_type="Crashed", message=error, reason=reason)
        detail = run.labels.error_message or run.message
        return FailureFacts(error_type=error, message=detail, reason=reason, traceback=_logged_traceback(run.id))
    if run.state_type == "CANCELLED":
        return FailureFacts(error_type="DeploymentMissing", message=run.message, reason="cancelled")
    traceback = _logged_traceback(run.id)
    if raised := _IN_MESSAGE.search(run.message):
        return FailureFacts(
            error_type=raised["type"], message=raised["said"] or run.message, reason="unstartable", traceback=traceback
        )
    return bare(run, traceback=traceback)


def was_raised(cause: str) -> bool:
    """Whether an exception of Python ended the process, which only the run's log tells then."""
    return _RAISED.search(cause) is not None


def brief(message: str) -> str:
    """What Prefect says of a crash without what it explains each time: `killed by SIGKILL`, `exit code 3`."""
    if status := re.search(r"exited with status code: (-?\d+)", message):
        code = int(status[1])
        try:
            return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        except ValueError:
            return f"killed by signal {-code}"
    return message or "crashed"


def bare(run: Run, *, traceback: str | None = None) -> FailureFacts:
    """From the run's last state alone."""
    reason = "crash" if run.state_type == "CRASHED" else "unstartable"
    message = run.message or "failed without a message"
    return FailureFacts(error_type=run.state_name or "Failed", message=message, reason=reason, traceback=traceback)


def _unstartable(run: Run, cause: str) -> FailureFacts | None:
    """The exception that ended the job's process before our code could start, if it was one: that is the cause people can fix."""
    traceback = _logged_traceback(run.id) if was_raised(cause) else None
    last = _LAST_LINE.match(traceback.rstrip().splitlines()[-1]) if traceback else None
    if last is None:
        return None
    return FailureFacts(
        error_type=last["type"], message=last["said"] or cause, reason="unstartable", traceback=traceback
    )


def _logged_traceback(run_id: UUID) -> str | None:
    body: dict[str, Any] = {
        "logs": {"flow_run_id": {"any_": [str(run_id)]}, "level": {"ge_": ERROR}},
        "sort": "TIMESTAMP_DESC",
        "limit": LOG_LINES,
    }
    for line in ask(logs.find(body)):
        if "Traceback (most recent call last)" in line["message"]:
            return unmarked(str(line["message"]))[0]
    return None
