"""What a worker says of a job whose process died: what it spent and that it crashed, and nothing of a run that others have by then."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient

from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.labels import ATTEMPT, TRIES
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.worker_client import WorkerClient
from redrive.infra.worker.conclusion import conclude
from redrive.infra.worker.due import Due
from redrive.infra.worker.job_process import ProcessEnd
from redrive.infra.worker.job_template import WarmConfiguration
from redrive.infra.worker.run_api import Json, RunApi
from redrive.infra.worker.worker_attempt import WorkerAttempt
from tests.support.keeperless import Keeperless


def claimed(keeperless: Keeperless) -> WorkerAttempt:
    """The attempt of a worker that claimed a run, signed it and runs it in a process which is gone by now."""
    run = keeperless.run(keeperless.deployment("jobs"))
    keeperless.set(run, "PENDING")
    due = Due(run=ask(requests.read(run)), queue="default", priority=1)
    gone = cast("Any", SimpleNamespace(cut_off=None, pid=0))
    attempt = WorkerAttempt(due, WarmConfiguration(), gone, logging.getLogger("test"), flow_name="kept")
    begin(keeperless, run, attempt.claim)
    return attempt


def begin(keeperless: Keeperless, run: UUID, claim: str) -> None:
    keeperless.label(run, prefect__worker__name="a-worker", redrive__attempt=claim)
    keeperless.set(run, "RUNNING")


def concluded(attempt: WorkerAttempt) -> list[Json]:
    """Conclude it; the states for which hooks were run."""
    hooked: list[Json] = []

    async def hooks(state: Json) -> None:
        hooked.append(state)

    async def worker() -> None:
        async with PrefectClient(settings().api_url) as client:
            await conclude(RunApi(WorkerClient(client)), attempt, ProcessEnd(signal=9), "a-worker", hooks)

    asyncio.run(worker())
    return hooked


def test_run_whose_process_died_is_crashed_with_the_tries_that_it_spent(keeperless: Keeperless) -> None:
    attempt = claimed(keeperless)
    attempt.spent = {"a-step": 2}

    hooked = concluded(attempt)

    after = keeperless.read(UUID(attempt.run_id))
    assert (after.state_name, after.message) == ("Crashed", "worker a-worker: its process was killed by SIGKILL")
    assert after.labels.tries == 2
    assert [state["type"] for state in hooked] == ["CRASHED"]


@pytest.mark.parametrize("is_signed", [True, False], ids=["signed", "not signed yet"])
def test_run_that_another_attempt_has_by_now_is_left_to_it(keeperless: Keeperless, *, is_signed: bool) -> None:
    attempt = claimed(keeperless)
    attempt.spent = {"a-step": 2}
    run = UUID(attempt.run_id)
    for state in ("CRASHED", "SCHEDULED", "PENDING"):
        keeperless.set(run, state)
    if is_signed:
        begin(keeperless, run, str(keeperless.read(run).state_id))
    before = ask(requests.read(run))

    assert concluded(attempt) == []

    after = ask(requests.read(run))
    assert (after["state"], after["labels"]) == (before["state"], before["labels"])
    assert (before["labels"][ATTEMPT] == attempt.claim) is not is_signed
    assert TRIES not in after["labels"]


def test_run_that_its_process_had_ended_in_its_last_moment_stays_so(keeperless: Keeperless) -> None:
    attempt = claimed(keeperless)
    run = UUID(attempt.run_id)
    keeperless.set(run, "COMPLETED")
    before = keeperless.read(run).state_id

    assert concluded(attempt) == []

    assert keeperless.read(run).state_id == before
