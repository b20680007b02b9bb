"""Why a job is not running: the answer names what keeps it, and who holds that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from redrive.blocks.core.pool_names import POOL
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import pools, queues
from redrive.blocks.prefect.runs import Wanted
from redrive.deployments.enqueue import enqueue
from redrive.deployments.jobs.actions import cancel_job
from redrive.deployments.jobs.obstacle import Obstacle
from redrive.deployments.jobs.why import why
from redrive.deployments.queues import pause_queue
from tests.support.console import client
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack


def asked(stack: JobStack, **options: Any) -> UUID:
    return enqueue("test-ok", {"folder": str(stack.folder("why"))}, **options).id


def kinds(job_id: UUID) -> list[str]:
    return [cause.kind for cause in why(job_id).causes]


@contextmanager
def paused(queue: str) -> Iterator[None]:
    pause_queue(queue, paused=True)
    try:
        yield
    finally:
        pause_queue(queue, paused=False)


def test_job_that_is_not_due_says_when_it_is(job_stack: JobStack) -> None:
    job = asked(job_stack, delay=3600)

    cause, *others = why(job).causes

    # Whatever fills the slots now, the stack being shared, is not what it waits for.
    assert not {other.kind for other in others} & {"busy", "limit", "behind"}
    assert cause.kind == "early"
    assert cause.until is not None
    assert f"{cause.until:%H:%M:%S}Z" in cause.said
    cancel_job(job)
    assert kinds(job) == ["over"]


def test_paused_queue_is_named_with_the_command_that_resumes_it(job_stack: JobStack) -> None:
    with paused("low"):
        job = asked(job_stack, queue="low")
        first = why(job).causes[0]

        assert first.kind == "paused"
        assert "redrive queues resume low" in first.said
        printed = json.loads(job_stack.redrive("jobs", "why", str(job), "--json").stdout)
        assert printed["causes"][0]["said"] == first.said


def test_paused_queue_says_who_paused_it_and_why(job_stack: JobStack) -> None:
    job_stack.redrive("queues", "pause", "low", "--why", "the printer is mended until noon", "--who", "ada")
    try:
        job = asked(job_stack, queue="low")

        assert re.search(r"paused by ada since .*Z \(the printer is mended until noon\)", why(job).causes[0].said)
        with client(job_stack, role="viewer") as viewer:
            assert "the printer is mended until noon" in viewer.get(f"/jobs/{job}/why").text
    finally:
        job_stack.redrive("queues", "resume", "low")
    with paused("low"):
        # The one before may have run in between.
        job = asked(job_stack, queue="low")
        assert "paused by somebody in Prefect" in why(job).causes[0].said
    wait_until(lambda: runs.by_id([job])[job].state_type == "COMPLETED", 60, "the job to run")


def test_paused_pool_is_reported_before_its_queue(job_stack: JobStack) -> None:
    ask(pools.update(POOL, {"is_paused": True}))
    try:
        assert why(asked(job_stack)).causes[0].said.startswith("work pool 'jobs' is paused")
    finally:
        ask(pools.update(POOL, {"is_paused": False}))


def test_full_queue_names_the_jobs_that_fill_it(job_stack: JobStack) -> None:
    folder = job_stack.folder("why")
    ask(queues.update(POOL, "low", {"concurrency_limit": 1}))
    try:
        held = enqueue("test-ok", {"folder": str(folder), "seconds": 300}, queue="low").id
        wait_until(lambda: runs.by_id([held])[held].state_type == "RUNNING", 60, "the holder to run")
        job = asked(job_stack, queue="low")

        limit = next(cause for cause in why(job).causes if cause.kind == "limit")

        assert "queue 'low' may run 1 job at once" in limit.said
        assert limit.held_by == (held,)
    finally:
        (folder / "enough").touch()
        ask(queues.update(POOL, "low", {"concurrency_limit": None}))


def test_busy_slots_name_the_jobs_in_them(job_stack: JobStack) -> None:
    folder, slots = str(job_stack.folder("why")), job_stack.settings.slots
    # Long enough for what earlier tests left to go before; they are cancelled when they have served.
    holders = [enqueue("test-long", {"folder": folder, "seconds": 300}).id for _ in range(slots)]
    try:
        busy = Wanted(ids=holders, types=["RUNNING"], deployed=False)
        wait_until(lambda: runs.count(busy) == slots, 90, "the slots to be busy")
        job = asked(job_stack)

        # A report tells of the moment before, when a job of another test may have been in a slot still.
        def held() -> Obstacle | None:
            busy = next((cause for cause in why(job).causes if cause.kind == "busy"), None)
            return busy if busy and set(busy.held_by) == set(holders) else None

        cause = wait_until(held, 30, "the worker's report to name those that hold its slots")
        assert cause is not None
        assert f"all {slots} slots" in cause.said
    finally:
        for one in holders:
            cancel_job(one)
