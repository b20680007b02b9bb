"""Jobs for tests as a newcomer writes them: decorated functions, with nothing of `JobType`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from redrive.blocks.core.errors import PermanentError
from redrive.flows.engine.job import current_job, job, step


@dataclass
class Greeting:
    text: str
    on: date


@job(
    max_tries=2,
    backoff=[0.2],
    jitter=0,
    queue="bulk",
    memory="700MB",
    tags=["greetings"],
    owner="reception@example.com",
    runbook="https://example.com/greeting",
)
def greeting(name: str = "world", on: date | None = None) -> Greeting:
    """Say hello.

    To one at a time.

    Args:
        name: Who is greeted.
        on: On which day.
    """
    return Greeting(say(name), on or date(2026, 1, 1))


@step
def say(name: str) -> str:
    if name == "nobody":
        raise PermanentError("nobody is there")
    return f"Hello, {name}!"


@job(name="later-on")
async def later(name: str) -> str:
    """Say goodbye."""
    return f"{await goodbye(name)} ({current_job().name})"


@step
async def goodbye(name: str) -> str:
    return f"Goodbye, {name}!"


@job(max_tries=2, backoff=[0.1], jitter=0)
def own_policy(folder: str, fails: int) -> str:
    """A step with more tries than its job, then one without a policy of its own."""
    patient(folder, fails)
    return hasty(folder)


@step(max_tries=5, backoff=[0.1, 3, 0.1], jitter=0)
def patient(folder: str, fails: int) -> None:
    file = Path(folder, "patient")
    executions = len(file.read_text()) if file.exists() else 0
    file.write_text("x" * (executions + 1))
    if executions < fails:
        raise ConnectionError("not yet")


@step
def hasty(folder: str) -> str:
    file = Path(folder, "hasty")
    executions = len(file.read_text()) if file.exists() else 0
    file.write_text("x" * (executions + 1))
    if executions < 1:
        raise ConnectionError("once more")
    return "done"
