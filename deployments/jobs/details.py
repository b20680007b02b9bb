"""Jobs that exist, from one place: finding them, showing one, and what people do to them.

Danger: a job is a Prefect flow run; everything here asks the API, nothing is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.states import PastState
from redrive.blocks.prefect.trail import StepTry
from redrive.deployments.dead_letters.failure_report import reports_of
from redrive.deployments.job_result import Result, result_of
from redrive.deployments.jobs.actions import Rerun, cancel_job, rerun_job, retry_now
from redrive.deployments.jobs.artifacts import left_by
from redrive.deployments.jobs.job import Job
from redrive.deployments.jobs.search import JobFilter, find_job, list_jobs, matching
from redrive.deployments.jobs.states import WORDS

__all__ = [
    "WORDS",
    "Job",
    "JobFilter",
    "Rerun",
    "Shown",
    "cancel_job",
    "find_job",
    "list_jobs",
    "matching",
    "rerun_job",
    "retry_now",
    "show_job",
    "whole_job",
]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """All that is to be known of one job; `history` has the oldest state first, `tries` the tries of steps that it waited after."""

    job: Job
    history: list[PastState]
    tries: list[StepTry]
    result: Result | None


def show_job(reference: str | UUID) -> tuple[Job, list[PastState]]:
    """A job and its state history, the oldest first."""
    run = find_job(reference)
    with reachable():
        history = runs.states_of(run.id)
    return _job(run), history


def whole_job(reference: str | UUID) -> Shown:
    """A job with its history and, if it completed, its result."""
    run = find_job(reference)
    left = left_by(run.id, most=0)
    result = result_of(left.state(run.state_id))
    return Shown(job=_job(run), history=left.history, tries=left.tries, result=result)


def _job(run: Run) -> Job:
    with reachable():
        report = reports_of([run.id]).get(run.id) if run.state_type == "FAILED" else None
    return Job.of(run, f"{report.error_type}: {report.message}" if report else None)
