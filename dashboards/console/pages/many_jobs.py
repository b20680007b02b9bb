"""One act on many jobs: cancel or run again those that are marked, or all that a filter finds, as `redrive jobs cancel|rerun` does.

Danger: what was done stays done. The same act asked for again takes what is left: a job that is over cannot be cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import ParameterError
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.run import Run
from redrive.dashboards.console.access.guard import Fields, Form, Operator, one
from redrive.dashboards.console.answers import done
from redrive.dashboards.console.parts import Parts, The
from redrive.dashboards.console.record import acting
from redrive.deployments.dead_letters.redrive import redrive
from redrive.deployments.jobs import query
from redrive.deployments.jobs.actions import cancel_job, rerun_job
from redrive.deployments.jobs.many import each
from redrive.deployments.jobs.query_language import parsed
from redrive.deployments.jobs.search import known_job_types
from redrive.deployments.jobs.states import FINISHED, UNFINISHED, word_of
from redrive.deployments.queue_names import queues as queue_names

router = APIRouter()

#: Jobs of one act at most: a person waits for its end, and a filter that was meant narrower harms no more.
CAP: Final = 500
#: Reasons of refusals that are told.
REASONS: Final = 3


@router.post("/jobs/many/{what}")
def many(request: Request, the: The, who: Operator, form: Fields, what: str) -> Response:
    """Cancel or run again all that fit now."""
    why = one(form, "why")
    acts: dict[str, tuple[tuple[str, ...], Callable[[UUID], object]]] = {
        "cancel": (UNFINISHED, lambda job: cancel_job(job, who=who.name, why=why)),
        "rerun": (FINISHED, lambda job: _again(the, job, who.name, why)),
    }
    if what not in acts:
        raise ParameterError(f"there is no act {what!r} on jobs")
    states, act = acts[what]
    found = [run for run in _asked(form) if word_of(run, datetime.now(UTC)) in states]
    verb = "cancel" if what == "cancel" else "run again"
    if one(form, "dry_run"):
        return done(request, f"Would {verb} {counted(len(found), 'job')}; nothing was done.", kind="")
    ended = each(found, act, progress=lambda *_: True)
    the.forget()
    refused = "; ".join(reason for _, reason in ended.refused[:REASONS])
    outcome = f"{ended.done:,} of {counted(ended.matched, 'job')}{f'; refused: {refused}' if refused else ''}"
    about = f"jobs {one(form, 'q') or 'that were marked'}"
    acting(the, who, form).did(f"bulk {verb}", about, outcome)
    message = f"{'Cancelled' if what == 'cancel' else 'Running again'}: {outcome}."
    return done(request, message, kind="bad" if refused else "good")


def _again(the: Parts, job: UUID, who: str, why: str) -> object:
    """The same job if it is dead, else a new one."""
    run = runs.by_id([job]).get(job)
    if run is not None and run.state_type == "FAILED":
        return redrive(the.ledger, job, who=who, why=why)
    return rerun_job(job, who=who, why=why)


def _asked(form: Form) -> list[Run]:
    """Those that are marked, or all that a filter finds; never everything by mistake."""
    try:
        ids = [UUID(text) for text in form.get("id", [])]
    except ValueError:
        raise ParameterError("that is no id of a job") from None
    with reachable():
        if ids:
            return list(runs.by_id(ids).values())
        if not one(form, "all") or not one(form, "q"):
            raise ParameterError("mark at least one job first")
        asked = parsed(one(form, "q"), datetime.now(UTC), jobs=known_job_types(), queues=tuple(queue_names()))
    found = query.page(asked, limit=CAP + 1, read=20 * CAP)
    if len(found.runs) > CAP or not found.whole:
        raise ParameterError(f"more than {CAP:,} jobs fit, or too many had to be read to know: narrow the filter")
    return list(found.runs)
