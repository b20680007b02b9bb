"""The same work, asked for in each of the ways Prefect's users and ours know."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from redrive.deployments.acceptance import deployment_of
from redrive.deployments.enqueue import enqueue
from tests.support.job_stack import ROOT, JobStack, effects
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

PATIENCE = 120


def environment(stack: JobStack) -> dict[str, str]:
    """What `eval "$(redrive env)"` leaves in a shell."""
    exports = stack.command("env").stdout.splitlines()
    given = dict(line.removeprefix("export ").split("=", 1) for line in exports)
    return {**os.environ, **{name: value.strip("'") for name, value in given.items()}}


def completed(folder: Path) -> None:
    wait_until(lambda: effects(folder, "listener-finished-test-ok"), PATIENCE, "the job to complete")
    assert len(effects(folder, "ok")) == 1


def test_prefects_api_as_its_ui_uses_it(job_stack: JobStack) -> None:
    folder = job_stack.folder("ui")
    deployment = deployment_of("test-ok").id

    api().request(
        "POST",
        "/deployments/{id}/create_flow_run",
        path_params={"id": deployment},
        json={"parameters": {"folder": str(folder)}, "state": {"type": "SCHEDULED"}},
    )

    completed(folder)


def test_prefect_deployment_run(job_stack: JobStack) -> None:
    folder = job_stack.folder("command")

    subprocess.run(
        [
            str(Path(sys.executable).with_name("prefect")),
            "deployment",
            "run",
            "test-ok/test-ok",
            "-p",
            f"folder={folder}",
        ],
        env=environment(job_stack),
        check=True,
        capture_output=True,
    )

    completed(folder)


def test_run_deployment_from_python(job_stack: JobStack) -> None:
    folder = job_stack.folder("python")
    code = f"from prefect.deployments import run_deployment; run_deployment('test-ok/test-ok', parameters={{'folder': {str(folder)!r}}})"

    # A process of its own, as Prefect's settings are fixed when it is imported.
    subprocess.run(
        [sys.executable, "-c", code], env=environment(job_stack), check=True, capture_output=True, timeout=PATIENCE
    )

    completed(folder)


@pytest.mark.slow
def test_schedule(job_stack: JobStack) -> None:
    folder = job_stack.folder("schedule")
    path = {"id": deployment_of("test-ok").id}
    often = {
        "schedule": {"interval": 5, "anchor_date": datetime.now(UTC).isoformat()},
        "active": True,
        "parameters": {"folder": str(folder)},
    }

    made = api().request("POST", "/deployments/{id}/schedules", path_params=path, json=[often]).json()

    wait_until(lambda: effects(folder, "listener-finished-test-ok"), PATIENCE, "a scheduled job to complete")
    api().delete_deployment_schedule(path["id"], UUID(made[0]["id"]))


def test_enqueue(job_stack: JobStack) -> None:
    folder = job_stack.folder("enqueue")

    enqueue("test-ok", {"folder": str(folder)})

    completed(folder)


def test_redrive_enqueue_waits_and_says_how_it_ended(job_stack: JobStack) -> None:
    folder = job_stack.folder("cli")

    good = job_stack.command("enqueue", "test-ok", "-p", f"folder={folder}", "--wait")
    bad = job_stack.command("enqueue", "test-permanent", "-p", f"folder={folder}", "--wait", check=False)

    assert "ended Completed" in good.stdout
    assert bad.returncode == 7
    assert "this address does not exist" in bad.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("enqueue", "test-okk"), 2, "did you mean 'test-ok'?"),
        (("enqueue", "test-ok", "-p", "foldr=x"), 2, "did you mean 'folder'?"),
        (("enqueue", "test-ok", "-p", "folder=x", "-p", "seconds=soon"), 2, "parameter 'seconds' does not fit"),
        (("jobs", "show", "00000000-0000-0000-0000-000000000000"), 4, "there is no job"),
        (("jobs", "list", "--state", "ded"), 2, "did you mean 'dead'?"),
        (("queues", "pause", "urgent"), 4, "there are bulk, default, high, low"),
        (("dead", "show", "00000000-0000-0000-0000-000000000000"), 4, "00000000"),
        (("dead", "redrive"), 2, "say which"),
        (("dead", "redrive", "--text", ""), 2, "say which"),
        (("dead", "redrive", "c405e581", "--job", "mail"), 2, "give ids or a filter, not both"),
        (("dead", "discard"), 2, "say which"),
        (("dead", "discard", "c405e581", "--text", "refused"), 2, "give ids or a filter, not both"),
        (("dead", "redrive", "--fingerprint", "000000000000"), 4, "no open dead letter"),
    ],
)
def test_refusals_are_one_sentence_and_an_exit_code(
    job_stack: JobStack, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = job_stack.command(*arguments, check=False)

    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_prefect_deploy_deploys_everything(job_stack: JobStack) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("prefect")), "--no-prompt", "deploy", "--all"],
        env=environment(job_stack),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("documents", "sync", "reports", "mail"):
        found: Any = api().read_deployment_by_name(f"{name}/{name}")
        assert found.entrypoint == f"redrive.flows.{name}.{name}"
    # And what was deployed so still runs.
    run = api().create_flow_run_from_deployment(UUID(str(api().read_deployment_by_name("sync/sync").id)))
    wait_until(
        lambda: (state := api().read_flow_run(run.id).state) and state.is_completed(),
        PATIENCE,
        "the deployed job to run",
    )
