"""Why a job is not running, where Prefect keeps it: its retry, its deployment, limits that hide others, no worker, a slow API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from redrive.blocks.core.settings import settings
from redrive.blocks.prefect import client as prefect_client
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import deployments, pools
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import AWAITING_RETRY, SCHEDULED, state
from redrive.blocks.process.worker_report import WorkerReport, WorkerReports
from redrive.deployments.enqueue import enqueue
from redrive.deployments.jobs import why as why_module
from redrive.deployments.jobs.actions import cancel_job
from redrive.deployments.jobs.obstacle import Obstacle
from redrive.deployments.jobs.why import why
from redrive.deployments.queues import pause_queue
from tests.support.counting_proxy import counting
from tests.support.full_prefect import FullPrefect
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack


def cause(job: UUID, kind: str) -> Obstacle:
    found = {one.kind: one for one in why(job).causes}
    assert kind in found, found
    return found[kind]


@contextmanager
def deployed(job: str, **fields: Any) -> Iterator[dict[str, Any]]:
    """The deployment of a job type with other fields for a while."""
    there = ask(deployments.named(job, job))
    ask(deployments.update(there["id"], fields))
    try:
        yield there
    finally:
        ask(deployments.update(there["id"], {name: False if name == "paused" else None for name in fields}))


@pytest.fixture
def waiting(job_stack: JobStack) -> Iterator[UUID]:
    """A job that is due and stays where it is."""
    pause_queue("low", paused=True)
    job = enqueue("test-ok", {"folder": str(job_stack.folder("why"))}, queue="low").id
    yield job
    cancel_job(job)
    pause_queue("low", paused=False)


def test_job_between_two_tries_says_when_the_next_is(job_stack: JobStack) -> None:
    job = enqueue("test-ok", {"folder": str(job_stack.folder("why"))}, delay=3600).id
    at = SERVER_CLOCK.now() + timedelta(minutes=30)
    retry = state(
        SCHEDULED, name=AWAITING_RETRY, message="try 1 of 3 failed", details={"scheduled_time": at.isoformat()}
    )
    assert runs.transition(job, retry, only_from=["SCHEDULED"])

    found = cause(job, "retry")

    assert found.until is not None
    assert abs(found.until - at) < timedelta(seconds=1)
    assert "try 1 of 3 failed" in found.said
    cancel_job(job)


def test_paused_deployment_is_reported(waiting: UUID) -> None:
    with deployed("test-ok", paused=True):
        assert any("deployment 'test-ok' is paused" in one.said for one in why(waiting).causes)


def test_limit_of_a_job_type_names_the_jobs_that_hold_it(job_stack: JobStack) -> None:
    folder = job_stack.folder("why")
    with deployed("test-ok", concurrency_limit=1):
        held = enqueue("test-ok", {"folder": str(folder), "seconds": 300}).id
        wait_until(lambda: runs.by_id([held])[held].state_type == "RUNNING", 90, "the holder to run")
        job = enqueue("test-ok", {"folder": str(folder)}).id
        try:
            found = cause(job, "limit")

            assert "job type 'test-ok' may run 1 job at once" in found.said
            # Others of that type, of tests before, may be on their way out.
            assert held in found.held_by
            assert job not in found.held_by
        finally:
            cancel_job(job)
            (folder / "enough").touch()


def test_jobs_that_wait_for_their_own_limit_are_reported_to_hide_all_others(job_stack: JobStack, waiting: UUID) -> None:
    FullPrefect(job_stack.settings, "test-crowd", "low").add(waiting=230, analyze=False)
    try:
        with deployed("test-crowd", concurrency_limit=1):
            said = cause(waiting, "behind").said

        assert "a worker's poll sees 200 at once" in said
        assert "200 of the first 200 are of job type 'test-crowd', of which 1 job may run at once" in said
        assert "hide all others" in said
    finally:
        with psycopg.connect(job_stack.settings.prefect_database_url().replace("+asyncpg", "", 1)) as database:
            database.execute("DELETE FROM flow_run WHERE name LIKE 'made-up-%'")


def test_pool_without_a_worker_is_reported(job_stack: JobStack) -> None:
    pool, there = f"why-{uuid4().hex[:8]}", ask(deployments.named("test-ok", "test-ok"))
    ask(pools.create({"name": pool, "type": "process"}))
    made = ask(deployments.create({"name": pool, "flow_id": there["flow_id"], "work_pool_name": pool}))
    job = UUID(ask(requests.create(made["id"], {}))["id"])

    assert f"no worker serves work pool '{pool}'" in cause(job, "nobody").said
    cancel_job(job)


def test_deployment_that_is_gone_is_reported(job_stack: JobStack, waiting: UUID) -> None:
    with psycopg.connect(job_stack.settings.prefect_database_url().replace("+asyncpg", "", 1)) as database:
        database.execute("UPDATE flow_run SET deployment_id = NULL WHERE id = %s", [waiting])

    found = cause(waiting, "gone")

    assert "the deployment of 'test-ok' is gone, so no worker can run it: `redrive up` registers it again" in found.said


def test_queue_that_no_worker_polls_is_reported_and_that_all_are_draining(job_stack: JobStack) -> None:
    pool, there = f"why-{uuid4().hex[:8]}", ask(deployments.named("test-ok", "test-ok"))
    ask(pools.create({"name": pool, "type": "warm"}))
    made = ask(deployments.create({"name": pool, "flow_id": there["flow_id"], "work_pool_name": pool}))
    job = UUID(ask(requests.create(made["id"], {}))["id"])
    now = SERVER_CLOCK.now().isoformat()
    report = WorkerReport(
        name=pool, pool=pool, type="warm", host="here", pid=1, started=now, slots=2, queues=("other",)
    )
    reports = WorkerReports(job_stack.settings.valkey_url())
    try:
        reports.publish(report)
        assert "no worker polls queue 'default'" in cause(job, "nobody").said

        reports.publish(replace(report, queues=(), draining=True))
        assert "every worker is draining" in cause(job, "nobody").said
    finally:
        reports.withdraw(pool)
        reports.close()
        cancel_job(job)


def test_slow_api_is_reported_with_what_its_answers_took(
    job_stack: JobStack, waiting: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [one for one in why(waiting).causes if one.kind == "slow"]
    monkeypatch.setattr(why_module, "SLOW", 0.2)
    with counting(job_stack.settings.api_url.removesuffix("/api")) as proxy:
        proxy.late = 0.3
        monkeypatch.setenv("PREFECT_API_URL", f"{proxy.url}/api")
        settings.cache_clear()
        prefect_client.connect_anew()

        found = cause(waiting, "slow")

        assert "Prefect's API is slow" in found.said
        assert "took 0." in found.said
    monkeypatch.undo()
    settings.cache_clear()
    prefect_client.connect_anew()
