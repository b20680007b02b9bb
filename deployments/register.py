"""Registering the catalog with Prefect: work pools, queues, blocks and one deployment per job type. Safe to repeat.

Danger: what a person changed in Prefect's UI stays: a paused schedule, an edited block. Only what Redrive itself wrote last
is written over.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from importlib.metadata import version
from typing import Any

import httpx
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from pydantic_core import to_jsonable_python

from redrive.blocks.core.errors import CatalogError
from redrive.blocks.core.extras import is_missing
from redrive.blocks.core.pool_names import OPS, POOL
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.client import ask, prefect_settings, reachable
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import deployments, pools, queues
from redrive.blocks.prefect.requests import flows as requested_flows
from redrive.deployments.care import remember_care
from redrive.deployments.catalog import BUILT_IN, complete_catalog
from redrive.deployments.default_blocks import save_default_blocks
from redrive.deployments.job_type import JobType
from redrive.deployments.queue_names import queues as queue_names
from redrive.deployments.queue_names import require_queues
from redrive.deployments.registered_variables import RegisteredVariables
from redrive.deployments.removed import mark_removed

#: Seconds the API may be silent: a server that has just started makes its first plans.
PATIENCE = 30.0

Report = Callable[[str], None]

#: Worker type of pools that are made now: our own, which fills in its form when it starts; Prefect's for two rare jobs.
POOL_TYPES = {POOL: "warm", OPS: "process"}
POOLS = {
    POOL: "The company's background work.",
    OPS: "Redrive's own housekeeping: dead-letter review and pruning.",
}


def register(settings: Settings, report: Report = lambda _: None) -> None:
    """Make Prefect know everything in the catalog.

    Raises:
        ApiUnavailable: Prefect cannot be reached.
        CatalogError: a job type whose code cannot be loaded.
    """
    jobs = complete_catalog().values()
    require_queues(jobs)
    with reachable(PATIENCE), prefect_settings():
        for pool, description in POOLS.items():
            _pool(pool, description)
        _queues()
        report(f"work pools {', '.join(POOLS)}; queues {', '.join(queue_names())}")
        report(f"blocks {', '.join(save_default_blocks(settings))}")
        # The flows' libraries load one after another; the calls to the API go side by side.
        here = [job for job in jobs if not (job in BUILT_IN and is_missing(job.name))]
        if without := [job.name for job in jobs if job not in here]:
            report(f"without {', '.join(without)}, which are not installed: pip install 'redrive[{','.join(without)}]'")
        flows = [(job, load(job)) for job in here]
        with ThreadPoolExecutor(4) as pool_of_calls:
            contexts = [copy_context() for _ in flows]  # how long to wait is known to this thread only
            variables = RegisteredVariables(settings.home)
            list(pool_of_calls.map(lambda context, pair: context.run(_deployment, variables, *pair), contexts, flows))
        variables.keep()
        remember_care(settings.home, jobs)
        report(f"{len(flows)} deployments: {', '.join(job.name for job, _ in flows)}")
        if gone := mark_removed(settings.home, (job.name for job in jobs)):
            report(f"no longer in the catalog, so they take no new jobs: {', '.join(gone)}")


def _pool(name: str, description: str) -> None:
    there = ask(pools.read(name).or_none())
    if there is None:
        try:
            ask(pools.create({"name": name, "type": POOL_TYPES[name], "description": description}))
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.CONFLICT:  # somebody else registers at the same time
                return
            raise
        if POOL_TYPES[name] == "process":
            ask(pools.update(name, {"base_job_template": _job_template()}))
    elif not there.get("description"):
        # The stack makes the pools for its workers before it registers.
        ask(pools.update(name, {"description": description}))


def _job_template() -> dict[str, Any]:
    """The template of Prefect's process worker, whose default this is too when a worker first polls an empty pool."""
    from prefect.workers.process import ProcessWorker  # noqa: PLC0415  (half a second that producers need not pay)

    return ProcessWorker.get_default_base_job_template()


def _queues() -> None:
    for name, priority in queue_names().items():
        # Read each time: Prefect moves those on whose priority another one gets.
        there = {queue["name"]: queue for queue in ask(queues.of_pool(POOL))}
        if name not in there:
            ask(queues.create(POOL, {"name": name, "priority": priority}))
        elif there[name]["priority"] != priority:
            ask(queues.update(POOL, name, {"priority": priority}))


def load(job: JobType) -> Flow[..., Any]:
    """The flow of a job type.

    Raises:
        CatalogError: it cannot be loaded, or is another one's.
    """
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(job.entrypoint, use_placeholder_flow=False)
    except (Exception, SystemExit) as error:
        cause = error.__cause__ or error
        raise CatalogError(
            f"job type {job.name!r}: {job.entrypoint} cannot be loaded: {type(cause).__name__}: {' '.join(str(cause).split())}"
        ) from error
    if flow.name != job.name:
        raise CatalogError(
            f"job type {job.name!r}: {job.entrypoint} is the flow {flow.name!r}; decorate it with @job(...) of this job type"
        )
    return flow


def _deployment(variables: RegisteredVariables, job: JobType, flow: Flow[..., Any]) -> None:
    flow_id = ask(requested_flows.ensure(flow.name))
    redrive_version = version("redrive")
    there = ask(deployments.named(job.name, job.name).or_none())
    fields: dict[str, Any] = {
        # Which Redrive registered it: `redrive check` names those of another one.
        "version": f"{flow.version or ''}+redrive-{redrive_version}",
        "parameters": job.parameters,
        "description": _description(job, flow),
        "work_pool_name": job.pool,
        "work_queue_name": job.queue if job.pool == POOL else "default",
        "tags": list(job.tags),
        "entrypoint": job.entrypoint,
        "path": ".",
        "parameter_openapi_schema": parameter_schema(flow).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
    }
    present = (there.get("job_variables") or {}) if there else {}
    fields["job_variables"] = variables.merged(job.name, job.job_variables, present)
    fields = to_jsonable_python(fields)
    if there is None:
        ask(deployments.create({**fields, "flow_id": flow_id, "name": job.name, "schedules": _schedules(job)}))
        return
    # Creating it again would take all its schedules away first, and with them the pause somebody gave one.
    ask(deployments.update(there["id"], fields))
    _renew_schedules(job, there)


def _description(job: JobType, flow: Flow[..., Any]) -> str | None:
    named = [
        *([f"Owner: {job.owner}"] if job.owner else []),
        *([f"Runbook: [{job.runbook}]({job.runbook})"] if job.runbook else []),
    ]
    return "\n\n".join(filter(None, [job.description or flow.description, *named])) or None


def _schedules(job: JobType) -> list[Json]:
    return [
        {
            "schedule": {"cron": schedule.cron, "timezone": schedule.timezone},
            "active": schedule.active,
            "parameters": to_jsonable_python(schedule.parameters),
            "slug": schedule.slug,
        }
        for schedule in job.schedules
    ]


def _renew_schedules(job: JobType, there: Json) -> None:
    wanted = {schedule["slug"]: schedule for schedule in _schedules(job)}
    present = there["schedules"]
    mine = {schedule["slug"]: schedule for schedule in present if str(schedule["slug"] or "").startswith("redrive-")}
    by_definition = {_definition(schedule) for schedule in present}
    for slug, old in mine.items():
        if slug not in wanted:
            ask(deployments.delete_schedule(there["id"], old["id"]))
    new = [s for slug, s in wanted.items() if slug not in mine and _definition(s) not in by_definition]
    if new:
        ask(deployments.add_schedules(there["id"], new))


def _definition(schedule: Json) -> tuple[str, str, str]:
    timing = schedule["schedule"]
    return (
        str(timing.get("cron", timing)),
        str(timing.get("timezone") or ""),
        json.dumps(schedule.get("parameters") or {}, sort_keys=True),
    )
