"""The server with the fast calls, Prefect's plain one, and workers that ask for them or not, in turn and beside each other under load.

What one of them began another one finishes: nothing is lost, nothing runs twice.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from redrive.blocks.core.errors import ApiUnavailable
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.requests import fast, server, workers
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.run_labels import CRASHES, RETRIES, TRIES
from redrive.blocks.prefect.runs import by_id
from redrive.deployments.enqueue import Item, enqueue, enqueue_many, wait_for
from tests.chaos.fault_stack import PATIENCE, FaultStack
from tests.chaos.journal import read_journal
from tests.chaos.test_warm_worker import check_effects, completed
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(900), pytest.mark.slow]

JOBS = 40
#: Labels whose values are counts.
COUNTED = {TRIES, RETRIES, CRASHES}


def test_server_is_replaced_by_a_plain_one_and_back_under_load(stack: FaultStack) -> None:
    folder = stack.folder("server-replaced")
    first = load(folder, "first")
    wait_until(lambda: begun(folder) >= 8, PATIENCE, "jobs to run")

    with plain_server(stack):
        wait_until(lambda: version() is None, PATIENCE, "the plain server to answer")
        second = load(folder, "second")
        wait_until(lambda: begun(folder) >= JOBS + 8, PATIENCE, "jobs of the plain server to run")
    wait_until(lambda: version() == fast.VERSION_OF_CALLS, PATIENCE, "the stack's own server to answer")
    third = load(folder, "third")

    done_once(folder, first | second | third)


def test_worker_that_knows_no_fast_calls_works_beside_one_that_does(stack: FaultStack) -> None:
    folder = stack.folder("mixed-workers")
    environment = {**stack.environment("worker"), "REDRIVE_FAST_SERVER": "0"}
    old = stack.start_worker_elsewhere("old-worker", slots=4, environment=environment)
    wait_until(lambda: old.args[-1] in online(), PATIENCE, "the old worker to be online")  # type: ignore[index]  # a list
    # Long enough for both to take some.
    jobs = load(folder, "mixed", seconds=1)

    done_once(folder, jobs)

    assert old.poll() is None
    assert len({run.worker for run in by_id(jobs).values()}) == 2


def test_wait_and_death_leave_the_same_record_either_way(stack: FaultStack) -> None:
    environment = {**stack.environment("worker"), "REDRIVE_FAST_SERVER": "0"}

    fast_calls = [record(stack, job) for job in ("fault-flaky", "fault-hopeless")]
    with stack.without("worker"):
        stack.start_worker_elsewhere("plain-worker", slots=4, environment=environment)
        plain_calls = [record(stack, job) for job in ("fault-flaky", "fault-hopeless")]

    assert fast_calls == plain_calls
    assert [name for name, *_ in fast_calls[0]["states"]][:4] == ["Scheduled", "Pending", "Running", "AwaitingRetry"]


def record(stack: FaultStack, job: str) -> dict[str, Any]:
    """What a job leaves in Prefect, without ids, times and whose it was."""
    folder = stack.folder("record")
    accepted = enqueue(job, {"folder": str(folder)})
    waited = None
    if job == "fault-flaky":
        run = wait_until(lambda: in_state(accepted.id, "AwaitingRetry"), PATIENCE, "the job to wait")
        waited = (run.pid, run.worker, run.labels.is_unsigned, run.labels.tries)
    wait_for(accepted.id, timeout=PATIENCE)
    states = api().read_flow_run_states(accepted.id)
    ended = api().read_flow_run(accepted.id)
    return {
        "states": [
            (
                state.name,
                re.sub(r"[0-9:]{8}Z", "TIME", state.message or ""),
                sorted(state.state_details.model_dump(exclude_none=True)),
            )
            for state in states
        ],
        "waited": waited,
        "runs": ended.run_count,
        "labels": sorted(ended.labels),
        "tries": {name: value for name, value in ended.labels.items() if name in COUNTED},
        "policy": ended.empirical_policy.model_dump(),
    }


def in_state(run_id: UUID, name: str) -> Run | None:
    run = by_id([run_id])[run_id]
    return run if run.state_name == name else None


def load(folder: Path, name: str, seconds: float = 0.1) -> set[UUID]:
    """Jobs that take so long each."""
    keys = [f"{folder.name}-{name}-{number}" for number in range(JOBS)]
    items = [Item(parameters={"folder": str(folder), "seconds": seconds}, key=key) for key in keys]
    return {one.id for one in enqueue_many("fault-quick", items)}


def done_once(folder: Path, jobs: set[UUID]) -> None:
    wait_until(lambda: completed(jobs) == len(jobs), 2 * PATIENCE, "every job to be Completed")
    journal = read_journal(folder)
    check_effects(journal, {line.key for line in journal})
    begins = Counter(line.run_id for line in journal if line.what == "begin")
    assert begins == dict.fromkeys(jobs, 1)


def online() -> set[str]:
    return {one["name"] for one in ask(workers.of_pool("jobs", online=True))}


def begun(folder: Path) -> int:
    return sum(line.what == "begin" for line in read_journal(folder))


def version() -> int | None:
    """Of the server's fast calls; None if it has none; -1 while nobody answers."""
    with suppress(ApiUnavailable), reachable():
        ask(server.ready())
        answer = ask(fast.version().or_none())
        return answer["version"] if answer else None
    return -1


@contextmanager
def plain_server(stack: FaultStack) -> Iterator[subprocess.Popen[bytes]]:
    """Prefect's own server in place of the stack's."""
    environment = stack.environment("prefect")
    with stack.without("prefect"):
        yield stack.start_program([sys.executable, "-P", "-m", "prefect", "server", "start"], environment, "plain")
