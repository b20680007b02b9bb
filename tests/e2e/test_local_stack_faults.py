"""What kill -9 does to the local stack: everything comes back, nothing is lost, nothing is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from redrive.infra.local.components import TABLE
from redrive.infra.local.prefect_client import api
from tests.support.stack import LocalStack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos]


@pytest.fixture
def running(own_stack: LocalStack) -> LocalStack:
    own_stack.start()
    return own_stack


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalStack]:
    """One stack for all that it must survive; whoever gets it finds it healthy."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-killed-"))
    stack = LocalStack(folder / ".redrive")
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        assert not stack.processes()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def survivor(shared: LocalStack) -> LocalStack:
    wait_until(lambda: shared.status()["healthy"], 120, "the stack to be healthy after the test before")
    return shared


@pytest.mark.parametrize("name", list(TABLE))
def test_a_killed_component_comes_back_by_itself(survivor: LocalStack, name: str):
    pid = survivor.kill(name)

    back = wait_until(lambda: _healthy_other_than(survivor, name, pid), 60, f"{name} to be restarted")
    wait_until(lambda: survivor.status()["healthy"], 60, "the whole stack to be healthy")

    assert back["restarts"] >= 1


@pytest.mark.parametrize("name", list(TABLE))
def test_up_after_a_killed_component_works_at_once(survivor: LocalStack, name: str):
    survivor.kill(name)

    survivor.start()

    assert survivor.status()["healthy"]


def test_components_end_with_a_killed_supervisor(running: LocalStack):
    running.kill("supervisor")

    wait_until(lambda: not running.processes(), 30, "every component to end")
    assert {one["state"] for one in running.status()["components"]} == {"stopped"}


def test_up_after_a_killed_supervisor_works_and_keeps_data(running: LocalStack):
    with api(running.settings) as client:
        client.post("/variables/", json={"name": "kept", "value": "yes"}).raise_for_status()
    running.kill("supervisor")

    running.start()

    assert running.status()["healthy"]
    with api(running.settings) as client:
        assert client.get("/variables/name/kept").json()["value"] == "yes"


def test_everything_killed_at_once_loses_no_committed_row(running: LocalStack):
    with psycopg.connect(_ledger(running)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    for process in running.processes():
        _kill(process)

    running.start()

    with psycopg.connect(_ledger(running)) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    assert running.status()["healthy"]


def test_down_after_a_killed_supervisor_leaves_no_process(running: LocalStack):
    running.kill("supervisor")

    running.command("down")

    assert not running.processes()


def test_a_stale_lock_file_with_a_number_now_in_use_does_not_stop_postgres(running: LocalStack):
    running.command("down")
    pid_file = running.home / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{running.home / 'postgres'}\n0\n5432\n\n\n0 0\nready\n")
    (running.settings.socket_folder / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")

    running.start()

    assert running.status()["healthy"]


def test_a_jobs_process_of_a_killed_worker_may_finish_and_ends_with_down(running: LocalStack):
    worker = running.component("worker")["pid"]
    environment = psutil.Process(worker).environ()
    job = psutil.Popen([sys.executable, "-c", "import signal; signal.pause()"], env=environment, start_new_session=True)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: _healthy_other_than(running, "worker", worker), 60, "the worker to be restarted")
    assert job.poll() is None

    running.command("down")

    assert job.wait(timeout=10) is not None
    assert not running.processes()


def test_a_component_keeps_being_restarted_while_postgres_is_away(running: LocalStack):
    control = running.home / "postgres" / "global" / "pg_control"
    control.rename(control.with_suffix(".hidden"))
    running.kill("postgres")
    wait_until(lambda: running.component("postgres")["restarts"] >= 3, 60, "several failed restarts")
    assert running.component("postgres")["state"] in {"failed", "starting", "unhealthy"}
    assert not running.status()["healthy"]

    control.with_suffix(".hidden").rename(control)

    wait_until(lambda: running.status()["healthy"], 90, "the stack to recover by itself")


def test_up_names_a_component_that_cannot_start_and_quotes_its_log(running: LocalStack):
    running.command("down")
    control = running.home / "postgres" / "global" / "pg_control"
    control.rename(control.with_suffix(".hidden"))

    failed = running.command("up", check=False)

    assert failed.returncode == 1
    assert "postgres exits again and again" in failed.stderr
    assert "pg_control" in failed.stderr
    assert "postgres.log" in failed.stderr


def test_valkey_keeps_what_it_was_told_a_second_ago(running: LocalStack):
    with redis.Redis.from_url(running.settings.valkey_url()) as client:
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 1, 0, 5000)
    pid = running.kill("valkey")
    wait_until(lambda: _healthy_other_than(running, "valkey", pid), 30, "valkey to be restarted")

    with redis.Redis.from_url(running.settings.valkey_url()) as client:
        assert client.get("kept") == b"yes"


def _healthy_other_than(stack: LocalStack, name: str, pid: int) -> dict[str, object] | None:
    found = stack.component(name)
    return found if found["healthy"] and found["pid"] != pid else None


def _ledger(stack: LocalStack) -> str:
    return stack.settings.ledger_url().replace("+psycopg", "")


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it may end with its parent
        process.kill()
