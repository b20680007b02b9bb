"""Job types for tests of traces: their story is told by what `script` says of each start of the job."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from pathlib import Path

import httpx
import redis

from redrive.blocks.core.errors import PermanentError
from redrive.blocks.core.retry import RetryPolicy
from redrive.blocks.core.settings import settings
from redrive.deployments.job_type import JobType
from redrive.flows.engine.job import job, step

STORY = JobType(
    "traced-story",
    entrypoint="tests.support.traced_jobs.story",
    policy=RetryPolicy(max_tries=3, backoff=(0.3, 3), jitter=0, hold_slot=1, max_crashes=1, timeout=20),
)
ASKS = JobType("traced-asks", entrypoint="tests.support.traced_jobs.asks", policy=RetryPolicy(max_tries=1))
LEAKY = JobType("traced-leaky", entrypoint="tests.support.traced_jobs.leaky", policy=RetryPolicy(max_tries=1))
IDLE = JobType("traced-idle", entrypoint="tests.support.traced_jobs.idle", policy=RetryPolicy(max_tries=1))

BURNS = JobType("traced-burns", entrypoint="tests.support.traced_jobs.burns", policy=RetryPolicy(max_tries=1))
KEEPS = JobType("traced-keeps", entrypoint="tests.support.traced_jobs.keeps", policy=RetryPolicy(max_tries=1))

JOBS = [STORY, ASKS, LEAKY, IDLE, BURNS, KEEPS]


class Refused(Exception):
    """A failure with a name of its own."""


@job(STORY)
def story(folder: str, script: str) -> str:
    """Do what `script` says, one word for each time that the step is called: fail, die, permanent, ok."""
    return act(folder, script)


@step
def act(folder: str, script: str) -> str:
    path = Path(folder) / "calls"
    calls = len(path.read_text()) if path.exists() else 0
    with path.open("a") as file:
        file.write(".")
    match script.split(",")[min(calls, script.count(","))]:
        case "fail":
            raise Refused("nobody answers")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "permanent":
            raise PermanentError("it will never work")
    return "told"


@job(ASKS)
def asks(url: str) -> str:
    """Ask an HTTP server, PostgreSQL and Redis."""
    print("asking")
    return ask_them(url)


@step
def ask_them(url: str) -> str:
    import psycopg

    with psycopg.connect(_plain(settings().synced_url())) as connection:
        connection.execute("SELECT 'a literal', %s", ["a value"])
    with redis.Redis.from_url(settings().valkey_url()) as client:
        client.set("traced-jobs", "a secret value")
    return httpx.get(url, trust_env=False).text


@job(LEAKY)
def leaky(password: str, customer: str, url: str) -> None:
    """Put everything that it must not tell into spans."""
    tell(password, customer, url)


@step
def tell(password: str, customer: str, url: str) -> None:
    httpx.get(url, trust_env=False, headers={"Authorization": f"Bearer {password}"})
    sqlite3.connect(":memory:").close()
    raise Refused(f"{customer} cannot log in with {password} at {url}, env {os.environ.get('MARKED_API_TOKEN')}")


@job(IDLE)
def idle() -> None:
    """Nothing."""


@job(BURNS)
def burns(until: str, password: str) -> None:
    """Use the processor until a file is there, most of it in one function."""
    while not Path(until).exists():
        innocent(password)
        guilty(password)


def innocent(password: str) -> int:
    return sum(range(1_000))


def guilty(password: str) -> int:
    found = 0
    for number in range(100_000):
        found += number * number
    return found


@job(KEEPS)
def keeps(until: str, password: str) -> None:
    """Keep more and more memory until a file is there, and give other memory back."""
    assert password
    kept: list[bytearray] = []
    while not Path(until).exists():
        kept.append(bytearray(50_000))  # the guilty line
        bytes(500_000)
        time.sleep(0.01)


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")
