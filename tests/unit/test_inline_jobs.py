"""Jobs in place: what is asked for runs at once, by the same policy code as in a worker, on a clock that waits move."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from prefect.futures import wait
from prefect.logging import get_run_logger

import redrive
from redrive import JobFailed, PermanentError, Snooze, current_job, enqueue, job, step
from redrive.blocks.core.errors import ParameterError, UnknownJob
from redrive.flows.engine.job import on_finished
from redrive.testing import InlineJobs, inline

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
#: What the steps of a test are to raise, one after the other.
TROUBLE: list[Exception] = []


def seconds(*numbers: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=number) for number in numbers)


@job(max_tries=4, backoff=[1, 10, 60], retry_until=3600)
def greet(name: str = "world", on: date | None = None) -> dict[str, Any]:
    """Say hello."""
    get_run_logger().info("greeting %s", name)
    return {"said": say(name), "sent": send(name), "on": on}


@step
def say(name: str) -> str:
    return f"Hello, {name}!"


@step
def send(name: str) -> tuple[str, int]:
    if TROUBLE:
        raise TROUBLE.pop(0)
    return current_job().name, current_job().number


@job
async def later(names: list[str]) -> list[str]:
    return [await waited(name) for name in names]


@step
async def waited(name: str) -> str:
    await asyncio.sleep(0)
    if TROUBLE:
        raise TROUBLE.pop(0)
    return name.upper()


@pytest.fixture
def jobs() -> Iterator[InlineJobs]:
    TROUBLE.clear()
    with inline(start=NOON) as jobs:
        yield jobs


def test_job_runs_where_it_is_asked_for(jobs: InlineJobs) -> None:
    asked = greet.enqueue("Ada", on=date(2026, 12, 24))

    # As a result that was stored and read: a tuple is a list then.
    assert asked.result() == {"said": "Hello, Ada!", "sent": ["greet", 1], "on": date(2026, 12, 24)}
    (ran,) = jobs
    assert (ran.id, ran.state, ran.tries, ran.attempts) == (asked.id, "Completed", 0, 1)
    assert ran.executions == {"say": 1, "send": 1}


def test_waits_move_the_clock_and_completed_steps_are_not_repeated(jobs: InlineJobs) -> None:
    began = time.monotonic()
    TROUBLE[:] = [ConnectionError("a"), ConnectionError("b"), ConnectionError("c")]

    greet.enqueue("Ada")

    (ran,) = jobs
    # The first wait stays in the process; the others free the slot, so a worker takes the job up again.
    assert (ran.state, ran.waits, ran.attempts) == ("Completed", seconds(1, 10, 60), 3)
    assert ran.executions == {"say": 1, "send": 4}
    assert ran.value["sent"] == ["greet", 4]
    assert jobs.now == NOON + timedelta(seconds=71)
    assert time.monotonic() - began < 71


def test_spent_tries_make_a_dead_letter_with_its_cause(jobs: InlineJobs) -> None:
    TROUBLE[:] = [ConnectionError("nobody answers")] * 9

    asked = greet.enqueue()

    (dead,) = jobs.dead
    assert (dead.state, dead.tries, dead.message) == (
        "DeadLetter",
        4,
        "dead letter: 4 of 4 tries failed (ConnectionError)",
    )
    with pytest.raises(JobFailed, match="4 of 4 tries failed") as failed:
        asked.result()
    assert isinstance(failed.value.__cause__, ConnectionError)


def test_errors_decide(jobs: InlineJobs) -> None:
    TROUBLE[:] = [PermanentError("no such address")]
    permanent = greet.enqueue()
    TROUBLE[:] = [Snooze(minutes=5)]
    snoozed = greet.enqueue()

    first, second = jobs
    assert (first.id, first.state, first.tries) == (permanent.id, "DeadLetter", 1)
    assert (second.id, second.state, second.tries, second.waits) == (snoozed.id, "Completed", 0, seconds(300))


def test_deadline_ends_a_job_by_the_clock(jobs: InlineJobs) -> None:
    @job(max_tries=9, backoff=[40], jitter=0, retry_until=100)
    def late() -> None:
        raise ConnectionError

    late.enqueue()

    (dead,) = jobs.dead
    assert (dead.tries, dead.waits) == (3, seconds(40, 40))
    assert dead.message.startswith("dead letter: deadline passed, 3 of 9 tries failed in 100 s")


def test_step_with_its_own_policy_follows_that(jobs: InlineJobs) -> None:
    @step(max_tries=6, backoff=[3], jitter=0)
    def patient() -> None:
        if TROUBLE:
            raise TROUBLE.pop(0)

    @job(max_tries=1)
    def own() -> None:
        patient()

    TROUBLE[:] = [ConnectionError()] * 5
    own.enqueue()

    (ran,) = jobs
    assert (ran.state, ran.executions, ran.waits) == ("Completed", {"patient": 6}, seconds(3, 3, 3, 3, 3))


def test_asynchronous_job_runs_inside_and_outside_of_a_loop(jobs: InlineJobs) -> None:
    async def asked() -> list[str]:
        return await (await later.aenqueue(["ada"])).aresult()

    TROUBLE[:] = [ConnectionError()]
    assert later.enqueue(["ada", "bob"]).result() == ["ADA", "BOB"]
    assert asyncio.run(asked()) == ["ADA"]
    assert jobs[0].executions == {"waited": 3}


def test_key_makes_one_job_and_delay_moves_the_clock(jobs: InlineJobs) -> None:
    patient = greet.options(key="greet-ada", delay="10m", queue="high")

    first, again = patient.enqueue("Ada"), patient.enqueue("Ada")

    assert (first.new, again.new, first.id) == (True, False, again.id)
    assert (len(jobs), jobs[0].queue, jobs.now) == (1, "high", NOON + timedelta(minutes=10))


def test_job_asked_for_by_name_is_known_or_refused() -> None:
    with inline(greet) as jobs:
        enqueue("greet", {"name": "Ada", "on": "2026-12-24"})
        with pytest.raises(UnknownJob):
            enqueue("nowhere")

    assert [one.value["on"] for one in jobs.of("greet")] == [date(2026, 12, 24)]


def test_what_a_job_asks_for_runs_too(jobs: InlineJobs) -> None:
    @job
    def outer(name: str) -> None:
        greet.enqueue(name)
        assert current_job().name == "outer"

    outer.enqueue("Ada")

    assert [one.job for one in jobs] == ["greet", "outer"]


def test_parameters_are_checked_as_in_production(jobs: InlineJobs) -> None:
    with pytest.raises(ParameterError, match="did you mean 'name'"):
        greet.enqueue(nam="Ada")  # type: ignore[call-arg]
    with pytest.raises(ParameterError, match="'on' does not fit"):
        enqueue("greet", {"on": "tomorrow"})
    assert len(jobs) == 0


def test_result_that_cannot_be_stored_is_a_dead_letter(jobs: InlineJobs) -> None:
    @job
    def unstorable() -> object:
        return object()

    unstorable.enqueue()

    assert "its result cannot be stored as JSON" in jobs.dead[0].message


def test_steps_that_are_submitted_and_mapped_run_in_place(jobs: InlineJobs) -> None:
    @step
    def double(number: int) -> int:
        return 2 * number

    @job
    def many() -> list[int]:
        first = double.submit(1)
        wait([first])
        return [first.result(), *double.map([2, 3]).result(), double(first)]  # type: ignore[arg-type]  # a future, as Prefect takes it

    assert many.enqueue().result() == [2, 4, 6, 4]


def test_listeners_are_called(jobs: InlineJobs) -> None:
    heard: list[str] = []
    on_finished(lambda event: heard.append(event.job), job="greet")

    greet.enqueue()

    assert heard == ["greet"]


def test_job_and_step_called_as_functions_are_functions(jobs: InlineJobs) -> None:
    assert say("Ada") == "Hello, Ada!"
    assert greet("Ada")["said"] == "Hello, Ada!"
    assert len(jobs) == 0


def test_nothing_is_in_place_afterwards() -> None:
    with pytest.raises(ZeroDivisionError), redrive.testing.inline():
        raise ZeroDivisionError

    from redrive.deployments.enqueue import PRODUCING
    from redrive.flows.engine.step_runner import STEPS

    assert PRODUCING.place is None
    assert STEPS.runner is None
