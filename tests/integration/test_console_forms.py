"""Forms of the console, sent as a browser sends them: a job for a time, delays of a policy, a result on demand."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from redrive.blocks.prefect import runs
from redrive.deployments.enqueue import enqueue
from redrive.deployments.jobs.actions import cancel_job
from redrive.deployments.policies import policy_of
from tests.support.console import PATIENCE, client
from tests.support.console_parts import part, states
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack


def test_result_of_a_job_is_shown_when_somebody_asks(job_stack: JobStack) -> None:
    job = enqueue("test-result", {"folder": str(job_stack.folder("result")), "name": "plain", "of": "job"}).id
    wait_until(lambda: runs.by_id([job])[job].state_type == "COMPLETED", PATIENCE, "the job to complete")
    with client(job_stack, role="viewer") as viewer:
        assert f"/jobs/{job}/result" in viewer.get(f"/jobs/{job}").text
        shown = viewer.get(f"/jobs/{job}/result").text
    assert "Ada" in shown


def test_delays_that_grow_are_shown_and_saved_in_one_form(job_stack: JobStack) -> None:
    with job_stack.overridden("test-flaky"), client(job_stack) as ada:
        saved = ada.post("/types/test-flaky/policy", data={"backoff": "growing 5 2 600"}, headers=part(ada))
        assert saved.status_code == 200
        found = policy_of("test-flaky")
        assert found is not None
        assert found.overridden["exponential"] == {"base": 5.0, "factor": 2.0, "cap": 600.0}
        # What the page shows can be saved as it is.
        (shown,) = re.findall(r'name="backoff" value="([^"]*)"', ada.get("/types/test-flaky").text)
        assert ada.post("/types/test-flaky/policy", data={"backoff": shown}, headers=part(ada)).status_code == 200
        wrong = ada.post("/types/test-flaky/policy", data={"backoff": "soon"}, headers=part(ada))
        assert wrong.status_code == 422
        assert "growing BASE FACTOR CAP" in wrong.text


def test_job_is_asked_for_at_a_time_or_after_a_span(job_stack: JobStack) -> None:
    folder = str(job_stack.folder("later"))
    with client(job_stack, "bob", "operator") as bob:
        for delay in ("10m", "2099-12-24T18:00"):
            made = bob.post("/types/test-ok/enqueue", data={"p.folder": folder, "delay": delay}, headers=part(bob))
            job = UUID(made.headers["HX-Redirect"].rpartition("/")[2])
            assert states([job]) == ["Scheduled"]
            cancel_job(job)
        refused = bob.post("/types/test-ok/enqueue", data={"p.folder": folder, "delay": "soon"}, headers=part(bob))
        assert refused.status_code == 422
        assert "write 90, 10m, 2h" in refused.text
