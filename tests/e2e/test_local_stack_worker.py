"""The stack's worker runs what lies in the project's own folders."""

from __future__ import annotations

import os

import pytest

from redrive.infra.local.prefect_client import api
from tests.support.stack import LocalStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

JOB = """
import os, sys, tempfile
from pathlib import Path
from prefect import flow
from house.words import GREETING

@flow
def hello(target: str):
    Path(target).write_text("\\n".join([GREETING, tempfile.gettempdir(), os.environ["REDRIVE_HOME"], os.getcwd()]))
"""


def test_a_job_of_the_project_imports_the_projects_modules(stack: LocalStack):
    (stack.project / "house").mkdir()
    (stack.project / "house" / "words.py").write_text("GREETING = 'good morning'\n")
    (stack.project / "flows").mkdir()
    (stack.project / "flows" / "hello.py").write_text(JOB)
    target = stack.project / "said"

    with api(stack.settings) as client:
        flow = client.post("/flows/", json={"name": "hello"}).json()["id"]
        wanted = {
            "name": "house",
            "flow_id": flow,
            "work_pool_name": "jobs",
            # What `prefect deploy` writes. With `path` instead, Prefect copies the whole folder for each run.
            "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(stack.project)}}],
            "entrypoint": "flows/hello.py:hello",
        }
        deployment = client.post("/deployments/", json=wanted).json()["id"]
        given = {"parameters": {"target": str(target)}}
        run = client.post(f"/deployments/{deployment}/create_flow_run", json=given).json()["id"]
        wait_until(
            lambda: client.get(f"/flow_runs/{run}").json()["state_type"] == "COMPLETED", 90, "the job to complete"
        )

    said = target.read_text().splitlines()
    assert said[0] == "good morning"
    assert said[1].endswith(f"redrive-{os.geteuid()}-{stack.settings.stack_id}-tmp")
    assert said[2] == str(stack.home)
