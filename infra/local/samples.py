"""The sample work of `make up`: real inputs, four jobs, and what came out of them.

Danger: the report needs what sync wrote, and the mail what the report made, so they run one after another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import FlowRun

from redrive.blocks.core.errors import RedriveError
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.infra.local.project import near

Report = Callable[[str], None]

#: Outputs of one job that are listed.
SHOWN = 3

#: Seconds a sample job may take from its trigger to its end, starts of new interpreters on a busy machine included.
PATIENCE = 180.0


class SampleFailed(RedriveError):  # noqa: N818  (reads as what happened)
    """A sample job did not complete."""


@dataclass(frozen=True)
class Outcome:
    """How one sample job ended."""

    job: str
    id: UUID
    state: str
    seconds: float
    summary: str
    outputs: tuple[str, ...]

    @property
    def completed(self) -> bool:
        return self.state == "Completed"


def run_samples(report: Report) -> list[Outcome]:
    """Run documents beside sync, report and mail, one after another; says each job's outcome as it comes.

    Raises:
        SampleFailed: after all of them, if one did not complete.
    """
    began = time.monotonic()
    beside = enqueue("documents")
    outcomes: list[Outcome] = []
    for job in ("sync", "reports", "mail"):
        report(f"  {job:<10} waiting for a free slot and running ...")
        outcomes.append(_ended(job, enqueue(job).id, report))
    outcomes.append(_ended("documents", beside.id, report))
    report(f"four sample jobs {time.monotonic() - began:.1f} s")
    if failed := [one for one in outcomes if not one.completed]:
        raise SampleFailed(
            f"{len(failed)} of {len(outcomes)} sample jobs did not complete: "
            + ", ".join(f"{one.job} ({one.state}; see `redrive jobs show {one.id}`)" for one in failed)
        )
    return outcomes


def _ended(job: str, run_id: UUID, report: Report) -> Outcome:
    run = wait_for(run_id, timeout=PATIENCE)
    outcome = _outcome(job, run)
    report(f"  {outcome.job:<10} {outcome.state:<10} {outcome.seconds:5.1f} s  {outcome.summary}")
    shown = outcome.outputs if len(outcome.outputs) <= SHOWN else outcome.outputs[: SHOWN - 1]
    for output in shown:
        report(f"  {'':<10} {'':<10} {'':>7}  {output}")
    if len(shown) < len(outcome.outputs):
        report(f"  {'':<10} {'':<10} {'':>7}  and {len(outcome.outputs) - len(shown)} more there")
    return outcome


def _outcome(job: str, run: FlowRun) -> Outcome:
    state = run.state
    seconds = run.total_run_time.total_seconds()
    if state is None or not state.is_completed():
        name, message = (state.name or "unknown", state.message or "") if state else ("unknown", "")
        return Outcome(job, run.id, name, seconds, message, ())
    result: Any = state.result(raise_on_failure=False)
    return Outcome(
        job,
        run.id,
        state.name or "Completed",
        seconds,
        result.summary(),
        tuple(near(output) for output in result.outputs),
    )
