"""Job types for the fault suite: what each becomes is certain, whatever is killed meanwhile.

Every execution writes a journal that survives kill -9 (one short line a write, appended), every step an effect that carries
the job's key. Of two executions of one job at once, the second says so: the kernel frees a file lock only when its holder
is gone. A stack finds the types through `REDRIVE_JOBS=tests.support.fault_jobs`.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.flow_engine import FlowRunEngine
from prefect.results import ResultStore

from redrive.blocks.core.errors import PermanentError, Snooze
from redrive.blocks.core.retry import RetryPolicy
from redrive.deployments.job_type import JobType
from redrive.flows.engine.job import current_job, job, step
from tests.chaos.journal import read_journal

#: More deaths than any fault causes: these jobs must complete.
HARDY = 50

PATIENT = RetryPolicy(max_tries=3, backoff=(3,), jitter=0, timeout=None, retry_until=None, max_crashes=HARDY)
SOON = PATIENT.model_copy(update={"backoff": (0.1,)})

STEPS = JobType("fault-steps", entrypoint="tests.support.fault_jobs.steps", policy=PATIENT)
FLAKY = JobType("fault-flaky", entrypoint="tests.support.fault_jobs.flaky", policy=PATIENT)
HOPELESS = JobType(
    "fault-hopeless", entrypoint="tests.support.fault_jobs.hopeless", policy=SOON.model_copy(update={"max_tries": 2})
)
POISON = JobType(
    "fault-poison",
    entrypoint="tests.support.fault_jobs.poison",
    policy=RetryPolicy(max_tries=1, timeout=None, retry_until=None, max_crashes=1),
)
HELD = JobType("fault-held", entrypoint="tests.support.fault_jobs.held", policy=PATIENT)
LATE = JobType("fault-late", entrypoint="tests.support.fault_jobs.late", policy=PATIENT)
QUICK = JobType("fault-quick", entrypoint="tests.support.fault_jobs.quick", policy=PATIENT)
CUT_OFF = JobType("fault-cut-off", entrypoint="tests.support.fault_jobs.cut_off", policy=PATIENT)
RETURNED = JobType("fault-returned", entrypoint="tests.support.fault_jobs.returned", policy=PATIENT)

TRIES = JobType("fault-tries", entrypoint="tests.support.fault_jobs.tries", policy=SOON)
SPENT = JobType("fault-spent", entrypoint="tests.support.fault_jobs.spent", policy=TRIES.policy)
HELPER = JobType("fault-helper", entrypoint="tests.support.fault_jobs.helper", policy=PATIENT)

JOBS = [STEPS, FLAKY, HOPELESS, POISON, HELD, LATE, QUICK, CUT_OFF, RETURNED, TRIES, SPENT, HELPER]

#: The steps of `fault-steps`, in order.
STAGES = ("reserve", "charge", "confirm")


def note(folder: str, what: str) -> None:
    """Add a line to the journal: what, run, key, pid, monotonic seconds."""
    me = current_job()
    line = f"{what} {me.id} {me.key} {os.getpid()} {time.monotonic():.4f}\n".encode()
    file = os.open(Path(folder) / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def bring_about(folder: str, what: str) -> None:
    """An effect that happens once per job, as an upsert by key would: done again, it changes nothing."""
    try:
        (Path(folder) / f"effect.{current_job().key}.{what}").touch(exist_ok=False)
    except FileExistsError:
        note(folder, f"again:{what}")
    else:
        note(folder, f"effect:{what}")


@contextmanager
def alone(folder: str) -> Iterator[None]:
    """Journal an execution's begin and end, and whether another one of the same job lives."""
    note(folder, "begin")
    with (Path(folder) / f"lock.{current_job().id}").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(folder, "overlap")
        try:
            yield
        finally:
            note(folder, "end")


@step(PATIENT)
def stage(folder: str, name: str, seconds: float) -> str:
    note(folder, f"start:{name}")
    time.sleep(seconds / 2)
    bring_about(folder, name)
    time.sleep(seconds / 2)
    return name


@job(STEPS)
def steps(folder: str, seconds: float = 1) -> None:
    with alone(folder):
        for name in STAGES:
            stage(folder, name, seconds)
            # From here on its result is kept, so the step must never start again.
            note(folder, f"kept:{name}")


@step(PATIENT)
def stumble(folder: str) -> None:
    # What is remembered is the failure that was seen to its end: a process killed before may stumble once more.
    mark = Path(folder) / f"stumbled.{current_job().key}"
    if not mark.exists():
        mark.touch()
        raise ConnectionError("the other side hung up")
    bring_about(folder, "flaky")


@job(FLAKY)
def flaky(folder: str) -> None:
    with alone(folder):
        stumble(folder)


@step(HOPELESS.policy)
def fail(folder: str) -> None:
    note(folder, "try")
    raise ValueError("this never works")


@job(HOPELESS)
def hopeless(folder: str) -> None:
    with alone(folder):
        fail(folder)


@job(POISON)
def poison(folder: str) -> None:
    with alone(folder):
        os.kill(os.getpid(), signal.SIGKILL)


@job(HELD)
def held(folder: str) -> None:
    """Runs until the test lets it go."""
    with alone(folder):
        while not (Path(folder) / "go").exists():
            time.sleep(0.1)
        bring_about(folder, "held")


@job(LATE)
def late(folder: str) -> None:
    """Runs until the test lets it go, and then fails once."""
    with alone(folder):
        while not (Path(folder) / "go").exists():
            time.sleep(0.1)
        stumble(folder)


@job(QUICK)
def quick(folder: str, seconds: float = 0.1) -> None:
    """A tenth of a second of work, for tests with thousands of jobs."""
    with alone(folder):
        time.sleep(seconds)
        bring_about(folder, "quick")


@job(RETURNED)
def returned(folder: str, killed: str) -> list[str]:
    """Its process is killed as soon as its result is about to be stored, or Prefect's engine is told what it returned."""
    note(folder, "begin")
    die: Any = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731  (stands in for a method)
    if killed == "before its result is stored":
        ResultStore.persist_result_record = die  # type: ignore[method-assign]  # the point of it
    else:
        FlowRunEngine.handle_success = die  # type: ignore[method-assign]  # as above
    return ["done"]


@job(CUT_OFF)
def cut_off(folder: str, first: str, second: str) -> None:
    """The first attempt runs until the test lets it go; then each ends as it is told: success, failure or wait."""
    mine = Path(folder) / f"first.{current_job().key}"
    if mine.exists():
        note(folder, "second")
        _end_with(second)
        return
    mine.touch()
    note(folder, "first")
    while not (Path(folder) / "go").exists():
        time.sleep(0.1)
    note(folder, "goes-on")
    _end_with(first)


def _end_with(outcome: str) -> None:
    if outcome == "failure":
        raise PermanentError("as it was told")
    if outcome == "wait":
        raise Snooze(seconds=3600, why="it was told")


@step(TRIES.policy)
def fail_then_die(folder: str) -> None:
    note(folder, "try")
    if len(read_journal(Path(folder))) % 2 == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    raise ConnectionError("the other side hung up")


@job(TRIES)
def tries(folder: str) -> None:
    """A try that fails, one in which the process dies, and so on."""
    fail_then_die(folder)


@step(TRIES.policy)
def fail_then_wait(folder: str) -> None:
    note(folder, "try")
    # The second one runs until the test has killed it; whichever it holds, until it lets go.
    while Path(folder, "hold").exists() or (len(read_journal(Path(folder))) == 2 and not Path(folder, "go").exists()):
        time.sleep(0.1)
    raise ConnectionError("the other side hung up")


@job(SPENT)
def spent(folder: str) -> None:
    """A try that fails, one that the test kills, and no more than what is left."""
    fail_then_wait(folder)


@job(HELPER)
def helper(folder: str) -> None:
    """The first attempt starts a process that nobody ends, and waits; the second is done at once."""
    mark = Path(folder) / "helper"
    if mark.exists():
        note(folder, "second")
        return
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    mark.write_text(str(process.pid))
    note(folder, "first")
    process.wait()
