"""Accepting jobs at Prefect: parameters are checked against what its deployment says, then all runs of a request are made.

Danger: a key is remembered as long as Prefect keeps the run; after retention has deleted it, the same key makes a new job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from redrive.blocks.core.errors import Conflict, NotFound, ParameterError, UnknownJob
from redrive.blocks.core.nearest import unknown
from redrive.blocks.core.pool_names import POOL
from redrive.blocks.core.remembered import Remembered
from redrive.blocks.core.setting_values import QUEUES
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.deployment import Deployment
from redrive.blocks.prefect.requests import deployments, queues
from redrive.blocks.prefect.run_labels import ASKED, DRAWN, KEY
from redrive.blocks.prefect.run_requests import batches, made
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import SCHEDULED, state
from redrive.blocks.prefect.wait import Wait
from redrive.blocks.tracing.creations import Creations
from redrive.deployments.accepted import Accepted
from redrive.deployments.job_request import Item, JobRequest, due_at
from redrive.deployments.parameters import checked
from redrive.deployments.removed import is_removed

#: Seconds a deployment is remembered, so that a producer's loop does not read it for every job.
DEPLOYMENT_SECONDS = 30.0
_deployments = Remembered[str, Deployment](DEPLOYMENT_SECONDS)


def accept(request: JobRequest) -> list[Accepted[Any]]:
    """Make the jobs; all are checked before the first.

    Raises:
        as `enqueue_many`.
    """
    told = SERVER_CLOCK.now()
    due = due_at(request.delay, request.at, now=told)
    # What is asked for at a time of day stays at that time, whatever becomes of the clock.
    wait = Wait.until(due, told=told).label if due is not None and request.at is None else {}
    with reachable():
        _require_queue(request.queue)
        deployment = deployment_of(request.job)
        schema, defaults = deployment.parameter_openapi_schema, deployment.parameters
        with Creations(request.job, request.queue or deployment.queue, due_at_once=due is None) as creations:
            bodies = [
                _body(
                    item,
                    checked(request.job, item.parameters, schema, defaults),
                    {**wait, **creations.labels(item.follows)},
                    queue=request.queue,
                    due=due,
                    tags=request.tags,
                )
                for item in request.items
            ]
            accepted: list[Accepted[Any]] = []
            for batch in batches(bodies):
                try:
                    runs = made(deployment.id, batch)
                except NotFound:
                    # Deleted since it was read.
                    _deployments.forget(request.job)
                    raise _not_registered(request.job) from None
                for run, body in zip(runs, batch, strict=True):
                    one = _accepted(request.job, run, body)
                    creations.made(len(accepted), one.id, new=one.new)
                    accepted.append(one)
            return accepted


def _require_queue(queue: str | None) -> None:
    # A producer elsewhere need not be told of a project's own queues: Prefect knows them.
    if queue is None or queue in QUEUES or queue in settings().queues:
        return
    there = {str(one["name"]): int(one["priority"]) for one in ask(queues.of_pool(POOL))}
    if queue not in there:
        raise ParameterError(unknown("queue", queue, sorted(there, key=there.__getitem__) or QUEUES))


def deployment_of(job: str) -> Deployment:
    """The deployment of a job type.

    Raises:
        UnknownJob: no such job type.
        Conflict: it is in the catalog but not registered yet.
    """
    if remembered := _deployments.fresh(job, None):
        return remembered
    answer = ask(deployments.named(job, job).or_none())
    if answer is None:
        raise _not_registered(job)
    found = Deployment.of(answer)
    if is_removed(found):
        raise UnknownJob(
            f"job type {job!r} was removed from the catalog, so no new job of it is accepted: "
            f"list it in JOBS again and run `redrive up`, or delete its deployment"
        )
    return _deployments.keep(job, found)


def _not_registered(job: str) -> Conflict:
    # Only now is the catalog needed: a producer may ask for job types whose code it does not have.
    from redrive.deployments.catalog import job_type  # noqa: PLC0415

    known = job_type(job)
    return Conflict(
        f"job type {known.name!r} is not registered with Prefect (any more): run `redrive up` or `prefect deploy --all`"
    )


def _body(
    item: Item,
    parameters: dict[str, Any],
    labels: Mapping[str, str],
    *,
    queue: str | None,
    due: datetime | None,
    tags: Sequence[str],
) -> dict[str, Any]:
    if "\x00" in (item.key or ""):
        raise ParameterError(f"the key {item.key!r} holds a NUL character, which no database keeps")
    # A drawn key is the job's key in every way: one request, repeated because its answer was lost, makes one job.
    key = item.key or f"{DRAWN}{uuid4()}"
    body: dict[str, Any] = {
        "parameters": parameters,
        "state": state(SCHEDULED, at=due),
        "tags": list(tags),
        "labels": {ASKED: uuid4().hex, KEY: key, **labels, **item.labels},
        "idempotency_key": key,
    }
    if queue:
        body["work_queue_name"] = queue
    return body


def _accepted(job: str, run: dict[str, Any], body: dict[str, Any]) -> Accepted[Any]:
    scheduled = ((run.get("state") or {}).get("state_details") or {}).get("scheduled_time")
    return Accepted(
        id=UUID(run["id"]),
        job=job,
        name=run.get("name", ""),
        key=None if body["idempotency_key"].startswith(DRAWN) else body["idempotency_key"],
        new=(run.get("labels") or {}).get(ASKED) == body["labels"][ASKED],
        due=datetime.fromisoformat(scheduled) if scheduled else None,
    )
