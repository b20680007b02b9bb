"""A live job is never rescued, also when nobody could hear of its worker for longer than the lease."""

from __future__ import annotations

import psutil
import pytest

from redrive.blocks.prefect_api import api
from redrive.deployments.enqueue import enqueue_many, wait_for
from redrive.flows.keeper.runs import by_id
from tests.chaos.fault_stack import LEASE, PATIENCE, FaultStack, pass_by
from tests.chaos.trial import read_journal
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(900)]

#: What the stack's own worker runs at once, and the other host's.
HERE, ELSEWHERE = 4, 2


def test_live_jobs_are_not_rescued_when_the_api_was_away_longer_than_the_lease(stack: FaultStack) -> None:
    folder = stack.folder("live")
    stack.start_worker_elsewhere("elsewhere-live", slots=ELSEWHERE)
    jobs = enqueue_many("fault-held", [{"folder": str(folder)}] * (HERE + ELSEWHERE))
    wait_until(lambda: len(read_journal(folder)) == len(jobs), PATIENCE * 2, "all jobs to run")
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
