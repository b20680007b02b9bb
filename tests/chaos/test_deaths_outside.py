"""Jobs that end without our code having had a say: it could not be loaded, got wrong parameters, or lost its deployment."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from redrive.blocks.prefect.runs import by_id
from tests.chaos.fault_stack import PATIENCE, FaultStack
from tests.chaos.journal import read_journal
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(600)]


def test_missing_module_is_a_dead_letter_that_names_it(stack: FaultStack) -> None:
    run_id = start(deployment("fault-missing", "fault-missing", "no_such_module.flow"))

    row = stack.dead_letter(run_id, timeout=PATIENCE)

    assert (row.reason, row.error_type) == ("unstartable", "ModuleNotFoundError")
    assert row.message == "No module named 'no_such_module'"
    assert row.traceback is not None


def test_wrong_parameters_that_nobody_checked_are_a_dead_letter_that_names_them(stack: FaultStack) -> None:
    loose = deployment("fault-poison", "loose", "tests.support.fault_jobs.poison", enforce_parameter_schema=False)
    run_id = start(loose, parameters={"nonsense": 1}, enforce_parameter_schema=False)

    row = stack.dead_letter(run_id, timeout=PATIENCE)

    assert (row.reason, row.error_type, row.crashes) == ("unstartable", "SignatureMismatchError", 2)
    assert "nonsense" in row.message
    assert row.parameters == {"nonsense": 1}


def test_job_whose_deployment_is_deleted_while_it_waits_is_a_dead_letter(stack: FaultStack) -> None:
    folder = stack.folder("doomed")
    doomed = deployment("fault-flaky", "doomed", "tests.support.fault_jobs.flaky")
    run_id = start(doomed, parameters={"folder": str(folder)})
    wait_until(lambda: by_id([run_id])[run_id].state_name == "AwaitingRetry", PATIENCE, "the wait for its next try")

    api().request("DELETE", "/deployments/{id}", path_params={"id": doomed})

    row = stack.dead_letter(run_id, timeout=PATIENCE)
    assert (row.reason, row.error_type) == ("cancelled", "DeploymentMissing")
    assert by_id([run_id])[run_id].state_name == "Cancelled"


def test_job_that_runs_while_its_deployment_is_deleted_completes(stack: FaultStack) -> None:
    folder = stack.folder("orphan")
    doomed = deployment("fault-held", "doomed", "tests.support.fault_jobs.held")
    run_id = start(doomed, parameters={"folder": str(folder)})
    wait_until(lambda: read_journal(folder), PATIENCE, "the job to run")

    api().request("DELETE", "/deployments/{id}", path_params={"id": doomed})
    (folder / "go").touch()

    wait_until(lambda: by_id([run_id])[run_id].state_name == "Completed", PATIENCE, "the job to complete")


def test_job_not_yet_due_is_deleted_with_its_deployment(stack: FaultStack) -> None:
    """What Prefect does, and the README and `redrive check` warn of: no run is left that could be kept in the ledger."""
    doomed = deployment("fault-held", "doomed-early", "tests.support.fault_jobs.held")
    details = {"scheduled_time": "2100-01-01T00:00:00Z"}
    run_id = start(doomed, parameters={"folder": "/"}, state={"type": "SCHEDULED", "state_details": details})

    api().request("DELETE", "/deployments/{id}", path_params={"id": doomed})

    wait_until(lambda: not by_id([run_id]), PATIENCE, "Prefect to delete it")


def deployment(flow: str, name: str, entrypoint: str, **more: Any) -> UUID:
    """A deployment made by hand, through Prefect's API, past our catalog."""
    flow_id = api().request("POST", "/flows/", json={"name": flow}).json()["id"]
    wanted = {"name": name, "flow_id": flow_id, "work_pool_name": "jobs", "work_queue_name": "default"}
    body = {**wanted, "entrypoint": entrypoint, "path": ".", **more}
    return UUID(api().request("POST", "/deployments/", json=body).json()["id"])


def start(deployment_id: UUID, **body: Any) -> UUID:
    path = {"id": deployment_id}
    answer = api().request("POST", "/deployments/{id}/create_flow_run", path_params=path, json=body)
    return UUID(answer.json()["id"])
