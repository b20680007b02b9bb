"""Job types for tests: each does one thing to the engine and leaves its effects in a folder that the test reads.

A stack finds them through `REDRIVE_JOBS=tests.support.jobs`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from redrive.blocks.core.errors import PermanentError, Snooze
from redrive.blocks.core.payloads import MailResult
from redrive.blocks.core.retry import RetryPolicy
from redrive.deployments.job_type import JobType
from redrive.flows.engine.job import current_job, job, on_failed, on_finished, on_started, step

QUICK = RetryPolicy(max_tries=3, backoff=(0.2, 0.2), jitter=0, timeout=20)
SPACED = RetryPolicy(max_tries=3, backoff=(1, 5, 10), jitter=0, timeout=20)
ONCE = RetryPolicy(max_tries=1)

OK = JobType("test-ok", entrypoint="tests.support.jobs.ok", policy=QUICK, description="Succeeds.")
FAIL = JobType("test-fail", entrypoint="tests.support.jobs.fail", policy=SPACED)
FAIL_ONCE = JobType("test-fail-once", entrypoint="tests.support.jobs.fail_once", policy=ONCE)
MANY = JobType("test-many", entrypoint="tests.support.jobs.many", policy=ONCE)
#: Only for the test that counts all of its dead letters.
CAUSES = JobType("test-causes", entrypoint="tests.support.jobs.causes", policy=ONCE)
BODY = JobType("test-body", entrypoint="tests.support.jobs.body", policy=QUICK)
FLAKY = JobType("test-flaky", entrypoint="tests.support.jobs.flaky", policy=SPACED)
PERMANENT = JobType("test-permanent", entrypoint="tests.support.jobs.permanent", policy=SPACED)
NAP = JobType("test-nap", entrypoint="tests.support.jobs.nap", policy=ONCE)
SLOW = JobType(
    "test-slow", entrypoint="tests.support.jobs.slow", policy=RetryPolicy(max_tries=2, backoff=(0.2,), timeout=1)
)
DEAF = JobType(
    "test-deaf",
    entrypoint="tests.support.jobs.deaf",
    policy=RetryPolicy(max_tries=2, backoff=(1,), jitter=0, timeout=2),
)
DEAF_APART = JobType(
    "test-deaf-apart",
    entrypoint="tests.support.jobs.deaf_apart",
    policy=RetryPolicy(max_tries=5, backoff=(1,), jitter=0),
)
THREE = JobType("test-three", entrypoint="tests.support.jobs.three", policy=ONCE)
#: Only for the test that looks for its job among the slowest of its type.
TIMED = JobType("test-timed", entrypoint="tests.support.jobs.timed", policy=ONCE)
LONG = JobType("test-long", entrypoint="tests.support.jobs.long", policy=RetryPolicy(max_tries=1, timeout=None))
DIE = JobType("test-die", entrypoint="tests.support.jobs.die", policy=RetryPolicy(max_tries=1, max_crashes=1))
TYPED = JobType("test-typed", entrypoint="tests.support.jobs.typed", policy=ONCE)
CHATTY = JobType("test-chatty", entrypoint="tests.support.jobs.chatty", policy=ONCE)
CROWD = JobType("test-crowd", entrypoint="tests.support.jobs.crowd", policy=ONCE)
HOSTILE = JobType("test-hostile", entrypoint="tests.support.jobs.hostile", policy=ONCE)
UNHASHABLE = JobType("test-unhashable", entrypoint="tests.support.jobs.unhashable", policy=ONCE)
RESULT = JobType("test-result", entrypoint="tests.support.jobs.result", policy=QUICK)
PICKLED = JobType("test-pickled", entrypoint="tests.support.jobs.pickled", policy=QUICK)
UPGRADED = JobType("test-upgraded", entrypoint="tests.support.jobs.upgraded", policy=ONCE)

JOBS = [
    OK,
    FAIL,
    FAIL_ONCE,
    MANY,
    CAUSES,
    BODY,
    FLAKY,
    PERMANENT,
    NAP,
    SLOW,
    DEAF,
    DEAF_APART,
    THREE,
    TIMED,
    LONG,
    DIE,
    TYPED,
    CHATTY,
    CROWD,
    HOSTILE,
    UNHASHABLE,
    RESULT,
    PICKLED,
    UPGRADED,
]


def leave(folder: str, name: str) -> int:
    """Append a line with the time to a file; returns how many lines it has now. One line a call, so effects can be counted."""
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"{datetime.now(UTC).isoformat()} {current_job().id} {current_job().key}\n")
    return len(path.read_text().splitlines())


def rest(folder: str, seconds: float) -> None:
    """Hold the slot so long, or until the test leaves a file that says it is enough; with a processor while one says it is busy."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not Path(folder, "enough").exists():
        time.sleep(0 if Path(folder, "busy").exists() else 0.05)


@on_started
def _note_started(event: Any) -> None:
    if folder := event.parameters.get("folder"):
        leave(folder, f"listener-started-{event.job}")


@on_finished
def _note_finished(event: Any) -> None:
    if folder := event.parameters.get("folder"):
        leave(folder, f"listener-finished-{event.job}")


@on_failed
def _note_failed(event: Any) -> None:
    if folder := event.parameters.get("folder"):
        leave(folder, f"listener-failed-{event.job}")


@on_started(job="test-ok")
def _raise(event: Any) -> None:
    raise RuntimeError("a listener that fails harms no job")


@step(QUICK)
def touch(folder: str, name: str) -> int:
    return leave(folder, name)


@job(OK)
def ok(folder: str, name: str = "ok", seconds: float = 0) -> int:
    rest(folder, seconds)
    return touch(folder, name)


@step(SPACED)
def fail_step(folder: str, message: str) -> None:
    leave(folder, "fail")
    raise ConnectionError(message)


@job(FAIL)
def fail(folder: str, message: str = "nobody answers") -> None:
    fail_step(folder, message)


@step(ONCE)
def fail_once_step(folder: str, message: str) -> None:
    leave(folder, "fail-once")
    raise ValueError(message)


@job(FAIL_ONCE)
def fail_once(folder: str, message: str, password: str = "") -> None:
    if not Path(folder, "mended").exists():
        fail_once_step(folder, message)
    leave(folder, "mended-runs")


def fail_until_mended(folder: str, message: str) -> None:
    if not Path(folder, "mended").exists():
        raise ValueError(message)


@job(MANY)
def many(folder: str, message: str) -> None:
    fail_until_mended(folder, message)


@job(CAUSES)
def causes(folder: str, message: str) -> None:
    fail_until_mended(folder, message)


@job(BODY)
def body(folder: str) -> None:
    leave(folder, "body")
    raise ConnectionError("the body itself failed")


@step(SPACED)
def flaky_step(folder: str, good_at: int) -> int:
    count = leave(folder, "flaky")
    if count < good_at:
        raise ConnectionError(f"not yet, {count}")
    return count


@job(FLAKY)
def flaky(folder: str, good_at: int) -> int:
    touch(folder, "before")
    return flaky_step(folder, good_at)


@step(SPACED)
def permanent_step(folder: str) -> None:
    leave(folder, "permanent")
    raise PermanentError("this address does not exist")


@job(PERMANENT)
def permanent(folder: str) -> None:
    permanent_step(folder)


@job(NAP)
def nap(folder: str) -> int:
    count = leave(folder, "nap")
    if count < 3:
        raise Snooze(seconds=1, why="the bank is closed")
    return count


@step(SLOW.policy)
def slow_step(folder: str) -> None:
    leave(folder, "slow")
    time.sleep(30)


@job(SLOW)
def slow(folder: str) -> None:
    slow_step(folder)


@step(DEAF.policy)
def deaf_step(folder: str, good_at: int) -> int:
    count = leave(folder, "deaf")
    if count < good_at:
        # In C, with the interpreter's lock in hand and no signal let through, Prefect's own alarm among them.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        ctypes.PyDLL(None).sleep(600)
    return count


@job(DEAF)
def deaf(folder: str, good_at: int = 99) -> int:
    touch(folder, "before")
    return deaf_step(folder, good_at)


@step(DEAF.policy)
def deaf_step_apart(folder: str) -> None:
    deaf_step.function(folder, 99)


@job(DEAF_APART)
def deaf_apart(folder: str) -> None:
    deaf_step_apart(folder)


@step(ONCE)
def third(folder: str) -> int:
    count = leave(folder, "step-3")
    if not Path(folder, "mended").exists():
        raise ConnectionError("the third step fails until it is mended")
    return count


def take_three_steps(folder: str) -> int:
    touch(folder, "step-1")
    touch(folder, "step-2")
    return third(folder)


@job(THREE)
def three(folder: str) -> int:
    return take_three_steps(folder)


@job(TIMED)
def timed(folder: str) -> int:
    return take_three_steps(folder)


@job(LONG)
def long(folder: str, seconds: float = 600) -> None:
    leave(folder, "long")
    rest(folder, seconds)


@job(DIE)
def die(folder: str, times: int = 99) -> int:
    count = leave(folder, "die")
    if count <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return count


class Colour(Enum):
    RED = "red"


class Address(BaseModel):
    city: str
    since: date


@step(ONCE)
def told(text: str) -> None:
    print(text)


@job(TYPED)
def typed(folder: str, address: Address, colour: Colour, price: Decimal, path: Path) -> str:
    told(f"{address!r} {colour!r} {price!r} {path!r}")
    return f"{address.city} {colour.value} {price} {path.name}"


@step(ONCE)
def chat(lines: int) -> None:
    for number in range(lines):
        print(f"line {number}")


@job(CHATTY)
def chatty(lines: int, seconds: float = 0) -> int:
    chat(lines)
    time.sleep(seconds)
    return lines


@job(CROWD)
def crowd(number: int = 0) -> int:
    return number


@job(HOSTILE)
def hostile(text: str) -> None:
    told(text)
    raise ValueError(text)


@step(ONCE)
def unhashable_step(thing: Any) -> None:
    raise AssertionError("must be refused before it runs")


@job(UNHASHABLE)
def unhashable(folder: str) -> None:
    import threading

    unhashable_step(threading.Lock())


#: What a job may return, by name; the last ones cannot be JSON.
RESULTS: dict[str, Any] = {
    "plain": {"rows": [1, 2.5, None, True], "name": "Ada"},
    "data": {"data": {"a": [1]}},
    "model": MailResult(message_id="1", subject="Hello", recipients=("ada@example.com",)),
    "tuple": (1, ("a", "b")),
    "numbered": {1: "one"},
    "callable": leave,
}


@step(QUICK)
def hand_back(folder: str, name: str) -> Any:
    leave(folder, f"step-{name}")
    return RESULTS[name]


@job(RESULT)
def result(folder: str, name: str, of: str = "step") -> Any:
    """Its step's result is of that name, or its own."""
    leave(folder, "body")
    if of == "job":
        touch(folder, "work")
        return RESULTS[name]
    hand_back(folder, name)
    return None


@job(PICKLED, result_serializer="pickle")
def pickled(folder: str) -> Any:
    """Chose pickle, and needs a second attempt."""
    found = hand_back(folder, "numbered")
    if leave(folder, "body") == 1:
        raise Snooze(seconds=1)
    return found


def _kept(folder: str) -> dict[int, str]:
    leave(folder, "kept")
    return {1: "one"}


@job(UPGRADED)
def upgraded(folder: str) -> str:
    """Its step's result was stored by an earlier version, which knew pickle only."""
    earlier = not Path(folder, "mended").exists()
    kept = step(ONCE, result_serializer="pickle") if earlier else step(ONCE)
    found = kept(_kept)(folder)
    if earlier:
        raise ConnectionError("the version of then got no further")
    return found[1]
