"""A live job is never rescued, also when nobody could hear of its worker for longer than the lease."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import psutil
import pytest

from redrive.blocks.core.errors import ApiUnavailable
from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import by_id
from redrive.deployments.enqueue import enqueue, enqueue_many, wait_for
from tests.chaos.fault_stack import LEASE, OUTAGE, PATIENCE, FaultStack, pass_by
from tests.chaos.journal import read_journal
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(900), pytest.mark.slow]

#: What the stack's own worker runs at once, and the other host's.
HERE, ELSEWHERE = 4, 2


def test_live_jobs_are_not_rescued_when_the_api_was_unavailable_longer_than_the_lease(stack: FaultStack) -> None:
    folder = stack.folder("live")
    stack.start_worker_elsewhere("elsewhere-live", slots=ELSEWHERE)
    jobs = enqueue_many("fault-held", [{"folder": str(folder)}] * (HERE + ELSEWHERE))
    wait_until(
        lambda: len({line.run_id for line in read_journal(folder)}) == len(jobs), PATIENCE * 2, "all jobs to run"
    )
    workers = {run.worker for run in by_id([one.id for one in jobs]).values()}
    assert "elsewhere-live" in workers
    assert len(workers) == 2

    server = psutil.Process(stack.pid("prefect"))
    with stack.frozen(server, *server.children(recursive=True)):
        pass_by(2 * LEASE)
    # Time for a rescue to happen, if it wanted to.
    pass_by(2 * LEASE)
    stack.stop_component("prefect")
    pass_by(2 * LEASE)
    stack.start_component("prefect")
    stack.wait_whole()
    pass_by(2 * LEASE)
    (folder / "go").touch()

    for one in jobs:
        end = wait_for(one.id, timeout=PATIENCE)
        assert end.state is not None
        assert end.state.is_completed()
        assert "Crashed" not in {state.name for state in api().read_flow_run_states(one.id)}
    journal = read_journal(folder)
    assert sum(line.what == "begin" for line in journal) == len(jobs), "a live job was started a second time"
    assert sum(line.what == "effect:held" for line in journal) == len(jobs)


def test_a_try_that_fails_while_the_database_is_unavailable_gets_its_next_try(stack: FaultStack) -> None:
    folder = stack.folder("late")
    job = enqueue("fault-late", {"folder": str(folder)})
    wait_until(lambda: read_journal(folder), PATIENCE, "the job to run")

    stack.stop_component("postgres")
    (folder / "go").touch()
    wait_until(lambda: list(folder.glob("stumbled.*")), PATIENCE, "its try to fail")
    pass_by(OUTAGE)
    stack.start_component("postgres")

    end = wait_until(lambda: ended(job.id), PATIENCE, "the job to end")
    assert end.state_name == "Completed"
    names = [str(state.name) for state in api().read_flow_run_states(job.id)]
    assert "AwaitingRetry" in names
    assert {"Failed", "Crashed"}.isdisjoint(names)


def ended(run_id: UUID) -> Run | None:
    """The run if it ended; None also while nobody can tell."""
    with suppress(ApiUnavailable), reachable():
        run = by_id([run_id])[run_id]
        return run if run.state_type in {"COMPLETED", "FAILED", "CANCELLED"} else None
    return None
