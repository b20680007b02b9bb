"""Jobs as decorated functions, on a real server: found, asked for by their function, and their results read."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import date

import pytest

from redrive.blocks.core.errors import JobFailed, ParameterError
from redrive.deployments.jobs.details import show_job
from tests.support.decorated_jobs import Greeting, greeting, later, own_policy
from tests.support.job_stack import JobStack
from tests.support.prefect_client import api

PATIENCE = 120


def test_result_is_what_the_function_returned(job_stack: JobStack) -> None:
    job = greeting.enqueue("Ada", on=date(2026, 12, 24))

    assert job.result(timeout=PATIENCE) == Greeting("Hello, Ada!", date(2026, 12, 24))
    run = api().read_flow_run(job.id)
    assert (job.job, run.work_queue_name, run.name) == ("greeting", "bulk", job.name)


def test_deployment_says_what_function_and_options_say(job_stack: JobStack) -> None:
    found = api().read_deployment_by_name("greeting/greeting")

    assert (found.description, found.entrypoint) == (
        "Say hello.\n\nTo one at a time.\n\nOwner: reception@example.com\n\nRunbook: [https://example.com/greeting](https://example.com/greeting)",
        "tests.support.decorated_jobs.greeting",
    )
    assert (found.job_variables["memory_limit"], found.tags) == (700, ["greetings"])
    assert found.parameter_openapi_schema["properties"]["name"]["description"] == "Who is greeted."


def test_asynchronous_job_is_asked_for_and_awaited(job_stack: JobStack) -> None:
    async def asked() -> str:
        job = await later.aenqueue(name="Ada")
        return await job.aresult(timeout=PATIENCE)

    assert asyncio.run(asked()) == "Goodbye, Ada! (later-on)"


def test_options_stand_apart_from_parameters(job_stack: JobStack) -> None:
    patient = later.options(key=f"later-{job_stack.folder('key').name}", delay="1h", queue="high")

    first, again = patient.enqueue(name="Ada"), patient.enqueue(name="Ada")

    assert (first.new, again.new, first.id) == (True, False, again.id)
    assert first.due is not None
    run = api().read_flow_run(first.id)
    assert (run.work_queue_name, run.state is not None and run.state.name) == ("high", "Scheduled")


def test_job_that_is_a_dead_letter_has_no_result(job_stack: JobStack) -> None:
    job = greeting.enqueue(name="nobody")

    with pytest.raises(JobFailed, match=r"ended DeadLetter: dead letter: permanent error.*nobody is there") as failed:
        job.result(timeout=PATIENCE)
    assert (failed.value.id, failed.value.state) == (job.id, "DeadLetter")


def test_who_cares_for_a_job_is_reported_where_it_failed(job_stack: JobStack) -> None:
    job = greeting.enqueue(name="nobody")
    row = job_stack.dead_letter(job.id)

    for said in (
        job_stack.redrive("dead", "show", str(row.id)).stdout,
        job_stack.redrive("jobs", "show", str(job.id)).stdout,
    ):
        assert re.search(r"owner +reception@example\.com", said)
        assert re.search(r"runbook +https://example\.com/greeting", said)


def test_queue_of_ones_own_stands_among_the_others(job_stack: JobStack) -> None:
    queues = json.loads(job_stack.redrive("queues", "list", "--json").stdout)
    assert [one["name"] for one in queues] == ["high", "default", "bulk", "low"]

    with pytest.raises(ParameterError, match="there is no queue 'bluk'; did you mean 'bulk'"):
        later.options(queue="bluk").enqueue(name="Ada")


def test_parameter_that_does_not_fit_is_refused_where_it_is_given(job_stack: JobStack) -> None:
    with pytest.raises(ParameterError, match="did you mean 'name'"):
        greeting.enqueue(nam="Ada")  # type: ignore[call-arg]


def test_step_with_a_policy_of_its_own_has_its_own_tries(job_stack: JobStack) -> None:
    folder = job_stack.folder("own-policy")

    job = own_policy.enqueue(str(folder), fails=3)

    # The third wait is longer than a slot is held, so the fourth try is another attempt's; then the job's own two tries are whole.
    assert job.result(timeout=PATIENCE) == "done"
    assert (folder / "patient").read_text() == "xxxx"
    assert (folder / "hasty").read_text() == "xx"
    assert "AwaitingRetry" in [state.name for state in show_job(job.id)[1]]
