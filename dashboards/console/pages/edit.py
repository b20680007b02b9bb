"""Edit and redrive: a dead job's parameters in a form made from its flow's schema, with what would change, and a new run."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from redrive.blocks.core.errors import Conflict, ParameterError
from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.deployment import Deployment
from redrive.dashboards.console.access.guard import Editor, Fields, Form, one
from redrive.dashboards.console.answers import done
from redrive.dashboards.console.parameter_form import changes, difference, fields
from redrive.dashboards.console.parts import Parts, The
from redrive.dashboards.console.record import acting, written_down
from redrive.dashboards.console.shown import page
from redrive.deployments.acceptance import deployment_of
from redrive.deployments.dead_letters.ledger import DeadLetter
from redrive.deployments.dead_letters.redrive import redrive
from redrive.deployments.parameters import checked
from redrive.deployments.people.people import about_job

router = APIRouter()


@router.get("/jobs/{job_id}/edit")
def edit(request: Request, the: The, _: Editor, job_id: UUID) -> Response:
    row, deployment = _read(the, job_id)
    known = fields(deployment.parameter_openapi_schema, deployment.parameters, row.parameters)
    return page(request, "edit.html", row=row.masked(), fields=known)


@router.post("/jobs/{job_id}/edit/check")
def check(request: Request, the: The, _: Editor, form: Fields, job_id: UUID) -> Response:
    """What the form would change, or why it does not fit."""
    row, deployment = _read(the, job_id)
    try:
        edits = _edits(row, deployment, form)
        changed, problem = difference(row.parameters, edits), ""
    except ParameterError as error:
        changed, problem = [], str(error)
    return page(request, "parts/difference.html", changes=changed, problem=problem)


@router.post("/jobs/{job_id}/edit")
def edited(request: Request, the: The, who: Editor, form: Fields, job_id: UUID) -> Response:
    row, deployment = _read(the, job_id)
    edits, why = _edits(row, deployment, form), one(form, "why")
    if not edits:
        raise ParameterError("nothing was changed: redrive it as it is, or change a parameter first")
    changed = ", ".join(change.name for change in difference(row.parameters, edits))
    by = replace(acting(the, who), why=f"{why} (changed {changed})".strip())
    with written_down(the, by, what="edit and redrive", about=about_job(job_id)):
        result = redrive(the.ledger, row.id, who=who.name, why=why, parameters={**row.parameters, **edits})
    return done(
        request, "It runs again with what you changed.", go=f"/failures/{row.fingerprint}", to=f"/jobs/{result.run_id}"
    )


def _read(the: Parts, job_id: UUID) -> tuple[DeadLetter, Deployment]:
    row = the.ledger.get(job_id)
    if row.status != "open":
        by = row.redriven_by if row.status == "redriven" else row.closed_by
        raise Conflict(f"this job is {row.status}{f' by {by}' if by else ''} already, so there is nothing to edit")
    with reachable():
        return row, deployment_of(row.job)


def _edits(row: DeadLetter, deployment: Deployment, form: Form) -> dict[str, object]:
    """What was changed, checked as `redrive` will check it."""
    known = fields(deployment.parameter_openapi_schema, deployment.parameters, row.parameters)
    edits = changes(form, known)
    with reachable():
        checked(row.job, {**row.parameters, **edits}, deployment.parameter_openapi_schema, deployment.parameters)
    return edits
