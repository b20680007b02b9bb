"""The wall clock of one process is stepped by an hour while jobs run and die: nothing is lost, done twice, or waits for the hour."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import pytest

from redrive.infra.local.prefect_client import api as own_api
from tests.chaos.fault_stack import PATIENCE, FaultStack, kill
from tests.chaos.trial import Trial
from tests.support.stepped_clock import SteppedClock, library
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.stack,
    pytest.mark.chaos,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(library() is None, reason="libfaketime is not here: make tools"),
    pytest.mark.slow,
]

HOUR, NONE = timedelta(hours=1), timedelta(0)

Process = subprocess.Popen[bytes]
Start = Callable[[FaultStack, dict[str, str]], Process]


def keeper(stack: FaultStack, environment: dict[str, str]) -> Process:
    return stack.start_keeper(environment)


def worker(stack: FaultStack, environment: dict[str, str]) -> Process:
    return stack.start_worker_elsewhere("stepped", slots=4, environment=environment)


def prefect(stack: FaultStack, environment: dict[str, str]) -> Process:
    return serving(stack, environment, "redrive.infra.server")


def plain_prefect(stack: FaultStack, environment: dict[str, str]) -> Process:
    return serving(stack, environment, "prefect", "server", "start")


def serving(stack: FaultStack, environment: dict[str, str], module: str, *arguments: str) -> Process:
    started = stack.start_program([sys.executable, "-P", "-m", module, *arguments], environment, "stepped-server")
    wait_until(lambda: server_answers(stack), PATIENCE, "the server whose clock is off to answer")
    return started


def server_answers(stack: FaultStack) -> bool:
    with suppress(httpx.HTTPError), own_api(stack.settings) as client:
        return client.get("/ready", timeout=5).is_success
    return False


#: Which process, how far its clock is off at first, and to what it is stepped.
STEPS = [
    pytest.param(worker, NONE, -HOUR, id="worker put back"),
    pytest.param(worker, NONE, HOUR, id="worker put forward"),
    pytest.param(keeper, NONE, -HOUR, id="keeper put back"),
    pytest.param(keeper, NONE, HOUR, id="keeper put forward"),
    pytest.param(prefect, -HOUR, NONE, id="server put forward"),
    pytest.param(prefect, NONE, -HOUR, id="server put back"),
    pytest.param(plain_prefect, -HOUR, NONE, id="plain server put forward"),
    pytest.param(plain_prefect, NONE, -HOUR, id="plain server put back"),
]


@pytest.mark.soak
@pytest.mark.parametrize(("start", "before", "after"), STEPS)
def test_step_of_a_clock_under_load_soak(
    stack: FaultStack, tmp_path: Path, start: Start, before: timedelta, after: timedelta
) -> None:
    step_under_load(stack, SteppedClock(tmp_path, off=before), start, after, size=40)


def test_step_of_a_clock_under_load(stack: FaultStack, tmp_path: Path) -> None:
    step_under_load(stack, SteppedClock(tmp_path), keeper, HOUR, size=10)


def step_under_load(stack: FaultStack, clock: SteppedClock, start: Start, after: timedelta, *, size: int) -> None:
    component = start.__name__.removeprefix("plain_")
    environment = clock.under(stack.environment(component))
    with stack.without(component):
        program = start(stack, environment)
        trial = Trial(stack, size, seed=6)
        trial.wait_for_stage(0.3)
        kill_a_job(trial, program)
        clock.step(after)
        trial.wait_for_stage(0.6)
        kill_a_job(trial, program)
        print(start.__name__, after, trial.check())
        assert program.poll() is None, "the process whose clock was stepped ended"


def kill_a_job(trial: Trial, program: Process) -> None:
    """`kill -9` of a job's process, in the stack or below the program that stands in for a part of it."""
    below = psutil.Process(program.pid).children(recursive=True)
    jobs = [[one] for one in below if one.name().startswith("job ")] or list(trial.stack.job_processes().values())
    if jobs:
        kill(*trial.draw.choice(jobs))
