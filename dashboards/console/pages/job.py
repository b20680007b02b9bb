"""One job: what it is doing, why, what it was given, what it said; and retry now, cancel, run again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from redrive.blocks.core.errors import LedgerUnavailable, NotFound
from redrive.blocks.core.masking import mask_text
from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import FINAL, RUNNING, PastState
from redrive.dashboards.console.access.guard import Fields, Operator, one
from redrive.dashboards.console.answers import done
from redrive.dashboards.console.live.logs import PACE
from redrive.dashboards.console.parts import Parts, The
from redrive.dashboards.console.record import written_down
from redrive.dashboards.console.shown import page, render
from redrive.deployments.dead_letters.ledger import Act, DeadLetter
from redrive.deployments.dead_letters.redrive import redrive
from redrive.deployments.jobs.actions import cancel_job, rerun_job, retry_now
from redrive.deployments.jobs.artifacts import Artifact, history_and_artifacts
from redrive.deployments.jobs.job import Job
from redrive.deployments.jobs.logs import SETTLE
from redrive.deployments.jobs.search import find_job
from redrive.deployments.jobs.why import NAMED, why
from redrive.deployments.people.people import about_job
from redrive.deployments.policies import Policy, policy_of

router = APIRouter()

T = TypeVar("T")

#: Seconds that what is shown of a job is shared by all who look at it. The page reads itself anew every 4 s, and its log comes as a
#: stream; together that is less than one call of Prefect's API a second: the run, its states and artifacts while it stays in one state,
#: its log, its policy, why it waits.
SHARED: Final = 3.0
STATE_SHARED: Final = 10.0
QUIET_LOG_SHARED: Final = 15.0
POLICY_SHARED: Final = 30.0
POLICY_STALE: Final = 90.0
WHY_SHARED: Final = 25.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that the page shows of a job."""

    run: Run
    job: Job
    history: list[PastState]
    letter: DeadLetter | None
    acts: list[Act]
    #: Why the ledger's part is missing; empty if it is not.
    no_ledger: str
    policy: Policy | None
    artifacts: list[Artifact]

    @property
    def is_over(self) -> bool:
        return self.run.state_type in FINAL

    @property
    def is_settled(self) -> bool:
        """Whether its last lines have had their time to arrive."""
        return self.is_over and (datetime.now(UTC) - self.run.since).total_seconds() > SETTLE

    @property
    def tries(self) -> str:
        """`try 2 of 3`, as far as it is known."""
        most = self.policy.policy.max_tries if self.policy else None
        begun = self.job.tries + (1 if self.run.state_type in {"RUNNING", "PENDING"} else 0)
        spent = max(begun, 1) if self.run.run_count and not self.is_over else begun
        if not spent:
            return f"0 of {most}" if most else "0"
        return f"{spent} of {most}" if most else str(spent)


@router.get("/jobs/{reference}")
def job(request: Request, the: The, reference: str) -> Response:
    seen = _seen(the, reference)
    return page(
        request,
        "job.html",
        seen=seen,
        job=seen.job,
        lines=the.logs.lines(seen.run.id, SHARED),
        link=the.settings.run_url(seen.job.id),
        trace=the.settings.link_to_trace(seen.job.trace_id),
    )


@router.get("/jobs/{job_id}/now")
def now(request: Request, the: The, job_id: UUID, over: bool = False) -> Response:  # noqa: FBT001, FBT002  (the name in the address)
    """What changes of the page while the job goes on; `over`: it was read when the job had ended, and follows no log."""
    seen = _seen(the, str(job_id))
    answer = page(
        request,
        "parts/job_now.html",
        seen=seen,
        job=seen.job,
        link=the.settings.run_url(seen.job.id),
        trace=the.settings.link_to_trace(seen.job.trace_id),
    )
    if over and not seen.is_over:
        answer.headers["HX-Refresh"] = "true"
    return answer


@router.get("/jobs/{job_id}/log")
async def log(the: The, job_id: UUID) -> Response:
    """The stream of its log."""

    def seconds() -> float:
        run = the.memo.get(("run", str(job_id)), SHARED, lambda: find_job(job_id))
        # What does not run writes little, once its last lines have had their time to arrive.
        lately = (SERVER_CLOCK.now() - run.since).total_seconds() < 2 * SETTLE
        return PACE if lately or run.state_type == RUNNING else QUIET_LOG_SHARED

    return StreamingResponse(
        the.logs.events(job_id, lambda lines: render("parts/log_lines.html", lines=lines), seconds),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


@router.get("/jobs/{job_id}/why")
def waits(request: Request, the: The, job_id: UUID) -> Response:
    """Why it is not running."""
    answer = the.memo.get(("why", job_id), WHY_SHARED, lambda: why(job_id))
    return page(request, "parts/why.html", answer=answer, most=NAMED)


@router.post("/jobs/{job_id}/retry")
def retry(request: Request, the: The, who: Operator, form: Fields, job_id: UUID) -> Response:
    found = _act(the, "retry now", job_id, who.name, one(form, "why"), lambda: retry_now(job_id, who=who.name))
    return done(request, f"{found.name} has its next try now.")


@router.post("/jobs/{job_id}/redrive")
def redriven(request: Request, the: The, who: Operator, form: Fields, job_id: UUID) -> Response:
    """Its own act, and not what a retry does to a dead job: a page that is old must not have another effect than it says."""
    why = one(form, "why")
    found = _act(the, "redrive", job_id, who.name, why, lambda: redrive(the.ledger, job_id, who=who.name, why=why))
    return done(request, f"Redriven: {found.job} runs again.")


@router.post("/jobs/{job_id}/cancel")
def cancel(request: Request, the: The, who: Operator, form: Fields, job_id: UUID) -> Response:
    why = one(form, "why")
    found = _act(the, "cancel", job_id, who.name, why, lambda: cancel_job(job_id, who=who.name, why=why))
    said = "is being stopped" if found.state == "Cancelling" else "is cancelled"
    return done(request, f"{found.name} {said}.")


@router.post("/jobs/{job_id}/rerun")
def rerun(request: Request, the: The, who: Operator, form: Fields, job_id: UUID) -> Response:
    why = one(form, "why")
    found = _act(the, "run again", job_id, who.name, why, lambda: rerun_job(job_id, who=who.name, why=why))
    return done(request, "Runs again as a new job.", go=f"/jobs/{found.run_id}")


def _act(the: Parts, what: str, job_id: UUID, who: str, why: str, act: Callable[[], T]) -> T:
    """Do it and write it down, whatever came of it."""
    with written_down(the, who=who, what=what, about=about_job(job_id), why=why):
        return act()


def _seen(the: Parts, reference: str) -> Seen:
    run = the.memo.get(("run", reference), SHARED, lambda: find_job(reference))
    return the.memo.get(("job", run.id, run.state_id), STATE_SHARED, lambda: _read(the, run))


def _read(the: Parts, run: Run) -> Seen:
    with reachable():
        history, artifacts = history_and_artifacts(run.id)
        policy = the.memo.get(("policy", run.job), POLICY_SHARED, lambda: policy_of(run.job), stale=POLICY_STALE)
    letter, acts, no_ledger = None, [], ""
    try:
        letter = the.ledger.get(run.id).masked()
        acts = [act.masked() for act in the.ledger.history(letter.id)]
    except NotFound:
        pass  # most jobs never fail
    except LedgerUnavailable as away:
        no_ledger = str(away)
    error = f"{letter.error_type}: {letter.message}" if letter else run.labels.error
    return Seen(
        run=run,
        job=Job.of(run, mask_text(error) if error else None),
        history=history,
        letter=letter,
        acts=acts,
        no_ledger=no_ledger,
        policy=policy,
        artifacts=artifacts,
    )
