"""Registering the catalog with Prefect: work pools, queues, blocks and one deployment per job type. Safe to repeat.

Danger: what a person changed in Prefect's UI stays: a paused schedule, an edited block. Only what Redrive itself wrote last
is written over.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import Deployment
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from redrive.blocks.core.errors import CatalogError
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.client import api, prefect_settings, reachable
from redrive.deployments.catalog import complete_catalog
from redrive.deployments.default_blocks import save_default_blocks
from redrive.deployments.job_type import QUEUES, JobType
from redrive.deployments.registered_variables import RegisteredVariables
from redrive.deployments.removed import mark_removed

#: Seconds the API may be silent: a server that has just started makes its first plans.
PATIENCE = 30.0

Say = Callable[[str], None]

#: Worker type of pools that are made now: our own, which fills in its form when it starts; Prefect's for two rare jobs.
POOL_TYPES = {"jobs": "warm", "ops": "process"}
POOLS = {
    "jobs": "The company's background work.",
    "ops": "Redrive's own housekeeping: dead-letter review and pruning.",
}


def register(settings: Settings, say: Say = lambda _: None) -> None:
    """Make Prefect know everything in the catalog.

    Raises:
        ApiUnavailable: Prefect cannot be reached.
        CatalogError: a job type whose code cannot be loaded.
    """
    jobs = complete_catalog().values()
    with reachable(PATIENCE), prefect_settings():
        client = api()
        for pool, description in POOLS.items():
            _pool(client, pool, description)
        _queues(client)
        say(f"work pools {', '.join(POOLS)}; queues {', '.join(QUEUES)}")
        say(f"blocks {', '.join(save_default_blocks(settings))}")
        # The flows' libraries load one after another; the calls to the API go side by side.
        flows = [(job, load(job)) for job in jobs]
        with ThreadPoolExecutor(4) as pool_of_calls:
            here = [copy_context() for _ in flows]  # how long to wait is known to this thread only
            variables = RegisteredVariables(settings.home)
            list(
                pool_of_calls.map(lambda context, pair: context.run(_deployment, client, variables, *pair), here, flows)
            )
        variables.keep()
        say(f"{len(flows)} deployments: {', '.join(job.name for job, _ in flows)}")
        if gone := mark_removed(client, settings.home, (job.name for job in jobs)):
            say(f"no longer in the catalog, so they take no new jobs: {', '.join(gone)}")


def _pool(client: SyncPrefectClient, name: str, description: str) -> None:
    try:
        there = client.read_work_pool(name)
    except ObjectNotFound:
        try:
            client.create_work_pool(WorkPoolCreate(name=name, type=POOL_TYPES[name], description=description))
        except ObjectAlreadyExists:  # somebody else registers at the same time
            return
        if POOL_TYPES[name] == "process":
            client.update_work_pool(name, WorkPoolUpdate(base_job_template=_job_template()))
    else:
        # The stack makes the pools for its workers before it registers.
        if not there.description:
            client.update_work_pool(name, WorkPoolUpdate(description=description))


def _job_template() -> dict[str, Any]:
    """The template of Prefect's process worker, whose default this is too when a worker first polls an empty pool."""
    from prefect.workers.process import ProcessWorker  # noqa: PLC0415  (half a second that producers need not pay)

    return ProcessWorker.get_default_base_job_template()


def _queues(client: SyncPrefectClient) -> None:
    answer = client.request(
        "POST", "/work_pools/{work_pool_name}/queues/filter", path_params={"work_pool_name": "jobs"}, json={}
    )
    there = {queue["name"]: queue for queue in answer.raise_for_status().json()}
    for name, priority in QUEUES.items():
        if name not in there:
            client.request(
                "POST",
                "/work_pools/{work_pool_name}/queues",
                path_params={"work_pool_name": "jobs"},
                json={"name": name, "priority": priority},
            ).raise_for_status()
        elif there[name]["priority"] != priority:
            client.request(
                "PATCH",
                "/work_pools/{work_pool_name}/queues/{name}",
                path_params={"work_pool_name": "jobs", "name": name},
                json={"priority": priority},
            ).raise_for_status()


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


def _deployment(client: SyncPrefectClient, variables: RegisteredVariables, job: JobType, flow: Flow[..., Any]) -> None:
    flow_id = client.create_flow_from_name(flow.name)
    try:
        there: Deployment | None = client.read_deployment_by_name(job.deployment)  # type: ignore[assignment]
    except ObjectNotFound:
        there = None
    fields: dict[str, Any] = {
        "version": flow.version,
        "parameters": job.parameters,
        "description": job.description or flow.description,
        "work_pool_name": job.pool,
        "work_queue_name": job.queue if job.pool == "jobs" else "default",
        "tags": list(job.tags),
        "entrypoint": job.entrypoint,
        "path": ".",
        "parameter_openapi_schema": parameter_schema(flow).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
    }
    present = (there.job_variables or {}) if there else {}
    fields["job_variables"] = variables.merged(job.name, job.job_variables, present)
    if there is None:
        client.create_deployment(flow_id, job.name, schedules=_schedules(job), **fields)
        return
    # Creating it again would take all its schedules away first, and with them the pause somebody gave one.
    client.update_deployment(there.id, DeploymentUpdate(**fields))
    _renew_schedules(client, job, there)


def _schedules(job: JobType) -> list[DeploymentScheduleCreate]:
    return [
        DeploymentScheduleCreate(
            schedule=CronSchedule(cron=schedule.cron, timezone=schedule.timezone),
            active=schedule.active,
            parameters=schedule.parameters,
            slug=schedule.slug,
        )
        for schedule in job.schedules
    ]


def _renew_schedules(client: SyncPrefectClient, job: JobType, there: Deployment) -> None:
    wanted = {schedule.slug: schedule for schedule in _schedules(job)}
    mine = {schedule.slug: schedule for schedule in there.schedules if str(schedule.slug or "").startswith("redrive-")}
    by_definition = {_definition(schedule) for schedule in there.schedules}
    for slug, old in mine.items():
        if slug not in wanted:
            client.delete_deployment_schedule(there.id, old.id)
    new = [s for slug, s in wanted.items() if slug not in mine and _definition(s) not in by_definition]
    if new:
        client.create_deployment_schedules(there.id, new)


def _definition(schedule: Any) -> tuple[str, str, str]:
    timing = schedule.schedule
    return (
        str(getattr(timing, "cron", timing)),
        str(getattr(timing, "timezone", "")),
        json.dumps(schedule.parameters or {}, sort_keys=True),
    )
