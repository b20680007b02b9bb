"""One job: what it is doing, why, what it was given, what it said; and retry now, cancel, run again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from redrive.blocks.core.errors import ApiUnavailable, LedgerUnavailable
from redrive.blocks.core.masking import mask_text
from redrive.dashboards.console.access.guard import Fields, Operator, one
from redrive.dashboards.console.answers import done
from redrive.dashboards.console.live.outage import Outage
from redrive.dashboards.console.pages.job_seen import SHARED, Seen, read_booked, seen_of
from redrive.dashboards.console.parts import Parts, The
from redrive.dashboards.console.record import acting, written_down
from redrive.dashboards.console.shown import page, render
from redrive.dashboards.console.values import as_json
from redrive.deployments.dead_letters.redrive import redrive
from redrive.deployments.job_result import result_of
from redrive.deployments.jobs.actions import cancel_job, rerun_job, retry_now
from redrive.deployments.jobs.logs import LogLine
from redrive.deployments.jobs.obstacle import Obstacle
from redrive.deployments.jobs.why import NAMED, why
from redrive.deployments.people.actor import Actor
from redrive.deployments.people.people import about_job

router = APIRouter()

T = TypeVar("T")

_readers = ThreadPoolExecutor(4, thread_name_prefix="reader")

#: Seconds that why it waits is shared by all who look.
WHY_SHARED: Final = 25.0
#: Characters of the name of a wait, at most.
LONGEST_WAIT: Final = 40
WHY_STALE: Final = 60.0


@router.get("/jobs/{reference}")
def job(request: Request, the: The, reference: str) -> Response:
    # Its log is read beside its run where the id is known already.
    known = _id(reference)
    beside = _readers.submit(the.logs.lines, known, SHARED) if known else None
    try:
        seen = seen_of(the, reference)
    except ApiUnavailable as error:
        return _by_the_ledger(request, the, known, error)
    return page(
        request,
        "job.html",
        seen=seen,
        job=seen.job,
        lines=_lines(the, seen, beside),
        link=the.settings.run_url(seen.job.id),
        trace=the.settings.link_to_trace(seen.job.trace_id),
    )


def _by_the_ledger(request: Request, the: Parts, known: UUID | None, error: ApiUnavailable) -> Response:
    """A job that nobody opened before Prefect's API became unavailable: what the ledger has of it, if it failed once.

    Raises:
        ApiUnavailable: it did not.
    """
    try:
        booked = the.memo.get(("letter", known), SHARED, lambda: read_booked(the, known)) if known else None
    except LedgerUnavailable:
        booked = None
    if booked is None or booked.letter is None:
        raise error
    the.outages.note(Outage.of(error, since=the.memos.api.unavailable_since))
    return page(request, "letter.html", code=503, letter=booked.letter, acts=booked.acts)


def _lines(the: Parts, seen: Seen, beside: Future[list[LogLine]] | None) -> list[LogLine]:
    """Its log; the lines that are known where it cannot be read."""
    try:
        return the.logs.soon(seen.run.id, beside, the.visit.left) if beside else the.logs.lines(seen.run.id, SHARED)
    except ApiUnavailable as error:
        the.outages.note(Outage.of(error, since=the.memos.api.unavailable_since, known=seen.at))
        return the.logs.known(seen.run.id)


@router.get("/jobs/{job_id}/now")
def now(request: Request, the: The, job_id: UUID, over: bool = False) -> Response:  # noqa: FBT001, FBT002  (the name in the address)
    """What changes of the page while the job goes on; `over`: it was read when the job had ended, and follows no log."""
    seen = seen_of(the, str(job_id))
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
    return StreamingResponse(
        the.logs.events(job_id, lambda lines: render("parts/log_lines.html", lines=lines)),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


@router.get("/jobs/{job_id}/result")
def handed_back(request: Request, the: The, job_id: UUID) -> Response:
    """What it handed back, read where workers keep results: only when somebody asks, as it may need the job's own code."""
    seen = seen_of(the, str(job_id))
    result = result_of(seen.detail.left.state(seen.run.state_id))
    value = result.value if result else None
    summary = getattr(value, "summary", None)
    text = summary() if callable(summary) else value if isinstance(value, str) else as_json(value)
    outputs = [str(output) for output in getattr(value, "outputs", ())] if callable(summary) else []
    nothing = value is None and not (result and result.unreadable)
    return page(
        request,
        "parts/result.html",
        text="" if nothing else mask_text(str(text)),
        outputs=outputs,
        unreadable=result.unreadable if result else None,
    )


@router.get("/jobs/{job_id}/why")
def waits(request: Request, the: The, job_id: UUID, wait: str = "") -> Response:
    """Why it is not running. `wait` names the wait that is asked about: what was found of the one before is no answer to it."""
    key = ("why", job_id, wait[:LONGEST_WAIT])
    try:
        causes = the.api.get(key, WHY_SHARED, lambda: why(job_id, the.people), stale=WHY_STALE).causes
    except ApiUnavailable as error:
        causes = (Obstacle(kind="unknown", said=f"nothing can be said now, and jobs wait for the same: {error}"),)
    return page(request, "parts/why.html", causes=causes, most=NAMED, at=the.api.read_at(key))


@router.post("/jobs/{job_id}/retry")
def retry(request: Request, the: The, who: Operator, form: Fields, job_id: UUID) -> Response:
    found = _act(the, "retry now", job_id, acting(the, who, form), lambda: retry_now(job_id, who=who.name))
    return done(request, f"Job {found.name} has its next try now.")


@router.post("/jobs/{job_id}/redrive")
def redriven(request: Request, the: The, who: Operator, form: Fields, job_id: UUID) -> Response:
    """Its own act, and not what a retry does to a dead job: a page that is old must not have another effect than it says."""
    why = one(form, "why")
    found = _act(
        the, "redrive", job_id, acting(the, who, form), lambda: redrive(the.ledger, job_id, who=who.name, why=why)
    )
    return done(request, f"Redriven: {found.job} runs again.")


@router.post("/jobs/{job_id}/cancel")
def cancel(request: Request, the: The, who: Operator, form: Fields, job_id: UUID) -> Response:
    why = one(form, "why")
    found = _act(the, "cancel", job_id, acting(the, who, form), lambda: cancel_job(job_id, who=who.name, why=why))
    message = "is being stopped" if found.state == "Cancelling" else "is cancelled"
    return done(request, f"Job {found.name} {message}.")


@router.post("/jobs/{job_id}/rerun")
def rerun(request: Request, the: The, who: Operator, form: Fields, job_id: UUID) -> Response:
    why = one(form, "why")
    found = _act(the, "run again", job_id, acting(the, who, form), lambda: rerun_job(job_id, who=who.name, why=why))
    return done(request, "Runs again as a new job.", go=f"/jobs/{found.run_id}")


def _act(the: Parts, what: str, job_id: UUID, by: Actor, act: Callable[[], T]) -> T:
    """Do it and write it down, whatever came of it."""
    with written_down(the, by, what=what, about=about_job(job_id)):
        return act()


def _id(reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        return None
