"""What stops the local stack and what starts it again: everything comes back, nothing is lost, nothing is left.

One stack for all of it. A start takes twenty seconds, so the order of the tests matters: one that leaves the stack stopped
is followed by one that starts it. Each works alone as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psutil
import psycopg
import pytest
import redis

from redrive.blocks.core.exit_codes import ExitCode
from redrive.infra.local.components.all import TABLE
from redrive.infra.local.prefect_client import api
from tests.support.stack import PATIENCE, LocalStack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.chaos]

#: What is killed together: none of it needs another of it. The soak kills each alone.
_TOGETHER = (("postgres",), ("prefect",), ("valkey", "keeper"))
_REST = tuple(name for name in TABLE if all(name not in some for some in _TOGETHER))
TOGETHER = [pytest.param(some, id="-".join(some)) for some in (*_TOGETHER, _REST)]
ALONE = [pytest.param((name,), id=f"only-{name}", marks=pytest.mark.soak) for name in TABLE]
#: Two times half of it, for `up`.
HALVES = [pytest.param(tuple(TABLE)[begin::2], id="-".join(tuple(TABLE)[begin::2])) for begin in (0, 1)]


@pytest.mark.parametrize("names", [*TOGETHER, *ALONE])
def test_a_killed_component_comes_back_by_itself(stack: LocalStack, names: tuple[str, ...]):
    killed = {name: stack.kill(name) for name in names}

    for name, pid in killed.items():
        back = wait_until(lambda name=name, pid=pid: _healthy_other_than(stack, name, pid), 60, f"{name} to be back")  # type: ignore[misc]  # mypy cannot infer it
        assert back["restarts"] >= 1
    wait_until(lambda: stack.status()["healthy"], 60, "the whole stack to be healthy")


@pytest.mark.parametrize("names", [*HALVES, *ALONE])
@pytest.mark.slow
def test_up_after_killed_components_works_at_once(stack: LocalStack, names: tuple[str, ...]):
    for name in names:
        stack.kill(name)

    stack.start()

    assert stack.status()["healthy"]


def test_valkey_keeps_what_it_was_given_a_second_ago(stack: LocalStack):
    with redis.Redis.from_url(stack.settings.valkey_url()) as client:
        client.set("kept", "yes")
        client.execute_command("WAITAOF", 1, 0, 5000)
    pid = stack.kill("valkey")
    wait_until(lambda: _healthy_other_than(stack, "valkey", pid), 30, "valkey to be restarted")

    with redis.Redis.from_url(stack.settings.valkey_url()) as client:
        assert client.get("kept") == b"yes"


@pytest.mark.slow
def test_a_component_keeps_being_restarted_while_postgres_is_unavailable(stack: LocalStack):
    with _no_control_file(stack):
        stack.kill("postgres")
        wait_until(lambda: stack.component("postgres")["restarts"] >= 3, 60, "several failed restarts")
        assert stack.component("postgres")["state"] in {"failed", "starting", "unhealthy"}
        assert not stack.status()["healthy"]

    wait_until(lambda: stack.status()["healthy"], 90, "the stack to recover by itself")


def test_up_after_a_killed_supervisor_works_and_keeps_data(stack: LocalStack):
    with _keeping_data(stack):
        stack.kill("supervisor")

        stack.start()

        assert stack.status()["healthy"]


@pytest.mark.slow
def test_everything_killed_at_once_loses_no_committed_row(stack: LocalStack):
    with psycopg.connect(_ledger(stack)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    for process in stack.processes():
        _kill(process)

    stack.start()

    with psycopg.connect(_ledger(stack)) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    assert stack.status()["healthy"]


@pytest.mark.slow
def test_changed_settings_start_the_stack_over_with_its_data(stack: LocalStack):
    before = stack.component("worker")["pid"]

    with _keeping_data(stack):
        stack.command("up", REDRIVE_SLOTS="2")

    assert stack.component("worker")["pid"] != before
    assert "--limit 2" in " ".join(psutil.Process(stack.component("worker")["pid"]).cmdline())


def test_components_end_with_a_killed_supervisor(stack: LocalStack):
    stack.kill("supervisor")

    wait_until(lambda: not stack.processes(), 30, "every component to end")
    assert {one["state"] for one in stack.status()["components"]} == {"stopped"}


@pytest.mark.slow
def test_an_interrupted_up_can_be_done_again_past_a_stale_lock_file_and_another_one_waits_for_it(stopped: LocalStack):
    # The number of a process that is another one by now, as after a crash of the machine.
    pid_file = stopped.home / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{stopped.home / 'postgres'}\n0\n5432\n\n\n0 0\nready\n")
    (stopped.settings.socket_folder / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")
    interrupted = stopped.begin("up")
    assert interrupted.stdout is not None
    interrupted.stdout.readline()  # one component is ready
    interrupted.send_signal(signal.SIGKILL)
    interrupted.communicate()

    both = [stopped.begin("up"), stopped.begin("up")]
    told = [one.communicate(timeout=PATIENCE) for one in both]

    assert [one.returncode for one in both] == [0, 0], told
    assert [("waiting for it" in out) for out, _ in told].count(True) == 1
    assert stopped.status()["healthy"]


@pytest.mark.slow
def test_a_jobs_process_of_a_killed_worker_may_finish_and_ends_with_down_even_without_a_supervisor(stack: LocalStack):
    worker = stack.component("worker")["pid"]
    environment = psutil.Process(worker).environ()
    job = psutil.Popen([sys.executable, "-c", "import signal; signal.pause()"], env=environment, start_new_session=True)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: _healthy_other_than(stack, "worker", worker), 60, "the worker to be restarted")
    assert job.poll() is None
    stack.kill("supervisor")

    stack.command("down")

    assert job.wait(timeout=10) is not None
    assert not stack.processes()


@pytest.mark.slow
def test_up_names_a_component_that_cannot_start_and_quotes_its_log(stopped: LocalStack):
    with _no_control_file(stopped):
        failed = stopped.command("up", check=False)

        assert failed.returncode == 1
        assert "postgres exits again and again" in failed.stderr
        assert "pg_control" in failed.stderr
        assert "postgres.log" in failed.stderr
        stopped.command("down")


def test_down_can_be_repeated(stopped: LocalStack):
    done = stopped.command("down")

    assert "nothing runs" in done.stdout
    told = stopped.command("status", "--json", check=False)
    assert told.returncode == ExitCode.UNHEALTHY
    assert {one["state"] for one in json.loads(told.stdout)["components"]} == {"stopped"}


def _healthy_other_than(stack: LocalStack, name: str, pid: int) -> dict[str, object] | None:
    found = stack.component(name)
    return found if found["healthy"] and found["pid"] != pid else None


@contextmanager
def _keeping_data(stack: LocalStack) -> Iterator[None]:
    """What is in each store before is there afterwards, and the password is the same."""
    name = f"kept_{uuid4().hex}"
    with api(stack.settings) as client:
        client.post("/variables/", json={"name": name, "value": "yes"}).raise_for_status()
    with redis.Redis.from_url(stack.settings.valkey_url()) as valkey:
        valkey.set(name, "yes")
        valkey.execute_command("WAITAOF", 1, 0, 5000)
    password = stack.settings.auth_string()

    yield

    with api(stack.settings) as client:
        assert client.get(f"/variables/name/{name}").json()["value"] == "yes"
    with redis.Redis.from_url(stack.settings.valkey_url()) as valkey:
        assert valkey.get(name) == b"yes"
    assert stack.settings.auth_string() == password


@contextmanager
def _no_control_file(stack: LocalStack) -> Iterator[None]:
    """PostgreSQL cannot start meanwhile."""
    control = stack.home / "postgres" / "global" / "pg_control"
    hidden = control.with_suffix(".hidden")
    control.rename(hidden)
    try:
        yield
    finally:
        hidden.rename(control)


def _ledger(stack: LocalStack) -> str:
    return stack.settings.ledger_url().replace("+psycopg", "")


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it may end with its parent
        process.kill()
