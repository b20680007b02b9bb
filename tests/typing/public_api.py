"""What mypy makes of jobs as people write them; checked by `make check`, never run."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, assert_type

import redrive
from redrive import Accepted, Job, JobType, RetryPolicy, current_job, enqueue, job, schedule, step

WEEKDAYS = schedule("0 7 * * 1-5", "Europe/London")
GREET = JobType("greet", entrypoint="my_jobs.greet", policy=RetryPolicy(max_tries=5), memory="500MB")


@job(max_tries=5, backoff=[1, 10, 60], queue="low", memory="500MB", schedule=WEEKDAYS)
def greet(name: str = "world", on: date | None = None) -> str:
    """Say hello."""
    assert_type(current_job().key, str)
    return assert_type(say(name), str)


@step
def say(name: str) -> str:
    return f"Hello, {name}!"


@step(max_tries=10, reuse=False)
def shout(name: str) -> str:
    return say(name).upper()


@job
async def later(count: int) -> list[str]:
    return [await waited(count)]


@step
async def waited(count: int) -> str:
    return str(count)


@job(GREET)
def catalogued(name: str) -> int:
    return len(name)


async def asked() -> None:
    assert_type(greet.enqueue("Ada", on=date(2026, 1, 1)), Accepted[str])
    assert_type(greet.enqueue(name="Ada").result(timeout=60), str)
    assert_type(greet.options(key="greet-ada", delay="10m").enqueue(name="Ada").result(), str)
    assert_type(await greet.aenqueue(name="Ada"), Accepted[str])
    assert_type(await (await later.aenqueue(3)).aresult(timeout=60), list[str])
    assert_type(later.options(delay=timedelta(minutes=1)).enqueue(count=3).result(), list[str])
    assert_type(catalogued.enqueue("Ada").result(), int)
    assert_type(enqueue("greet", {"name": "Ada"}), Accepted[Any])
    assert_type(greet("Ada"), str)
    assert_type(await later(3), list[str])
    assert_type(redrive.__version__, str)


async def wrong() -> None:
    greet.enqueue(nam="Ada")  # type: ignore[call-arg]
    greet.enqueue(name=3)  # type: ignore[arg-type]
    greet.enqueue("Ada", on="tomorrow")  # type: ignore[arg-type]
    await greet.aenqueue(naem="Ada")  # type: ignore[call-arg]
    later.enqueue()  # type: ignore[call-overload]
    greet.options(keys="greet-ada")  # type: ignore[call-arg]
    greet.options(queue=3)  # type: ignore[arg-type]
    shout(3)  # type: ignore[arg-type]
    job(max_trys=5)  # type: ignore[call-overload]
    step(max_trys=5)  # type: ignore[call-overload]
    RetryPolicy(max_trys=5)  # type: ignore[call-arg]
    JobType("greet", entrypoint="my_jobs.greet", memroy=500)  # type: ignore[call-arg]
    schedule("0 7 * * *", zone="Europe/London")  # type: ignore[call-arg]


def tested() -> None:
    with redrive.testing.inline(greet) as jobs:
        assert_type(greet.enqueue("Ada").result(), str)
        assert_type(jobs[0].tries, int)
        assert_type(jobs.of(greet)[0].state, str)


def takes_any_job(one: Job[..., Any]) -> str:
    return one.job_type.name
