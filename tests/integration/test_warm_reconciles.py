"""At every heartbeat a worker finds runs that carry its name and that it does not have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.plain_prefect import PlainPrefect
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("state", ["RUNNING", "PENDING"])
def test_run_with_the_workers_name_and_no_process_is_reported(plain_prefect: PlainPrefect, state: str) -> None:
    pool = plain_prefect.pool()
    deployment = plain_prefect.deploy("quick", pool)
    folder = str(plain_prefect.folder("strays"))
    with plain_prefect.working(pool, limit=1, PREFECT_WORKER_HEARTBEAT_SECONDS="1") as worker:
        later = datetime.now(UTC) + timedelta(hours=1)
        mine = plain_prefect.begin(deployment, scheduled=later, folder=folder)
        others = plain_prefect.begin(deployment, scheduled=later, folder=folder)
        for run_id, name in ((mine, worker.name), (others, "another-worker")):
            labels = {"prefect.worker.name": name}
            plain_prefect.api.patch(f"/flow_runs/{run_id}/labels", json=labels).raise_for_status()
            wanted = {"state": {"type": state}, "force": True}
            plain_prefect.api.post(f"/flow_runs/{run_id}/set_state", json=wanted).raise_for_status()

        run = plain_prefect.in_state(mine, "Crashed")

        assert "no process of this job" in run["state"]["message"]
        assert plain_prefect.run(others)["state_type"] == state


def test_run_that_lost_the_workers_name_is_signed_again(plain_prefect: PlainPrefect) -> None:
    pool = plain_prefect.pool()
    deployment = plain_prefect.deploy("hooked", pool)
    with plain_prefect.working(pool, limit=1, PREFECT_WORKER_HEARTBEAT_SECONDS="1") as worker:
        run_id = plain_prefect.begin(deployment, folder=str(plain_prefect.folder("unsigned")), do="wait")
        before = plain_prefect.in_state(run_id, "Running")["labels"]
        erased = {"prefect.worker.name": "", "redrive.attempt": ""}
        plain_prefect.api.patch(f"/flow_runs/{run_id}/labels", json=erased).raise_for_status()

        def signed() -> bool:
            labels = plain_prefect.run(run_id)["labels"]
            return bool(labels["redrive.attempt"]) and labels["prefect.worker.name"] == worker.name

        wait_until(signed, 60, "the worker's name to be back")
        after = plain_prefect.run(run_id)["labels"]
        # So that the worker has nothing to wait for when it is told to stop.
        plain_prefect.cancel(run_id)
        plain_prefect.end_of(run_id)

    assert after["redrive.attempt"] == before["redrive.attempt"]
