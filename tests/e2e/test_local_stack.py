"""The local stack as a person uses it, while it runs: status, databases, passwords, ports, other stacks beside it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import psycopg
import pytest
import redis

from redrive.infra.local.components.all import TABLE
from redrive.infra.local.prefect_client import api
from tests.support.stack import ODD, LocalStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

COMPONENTS = list(TABLE)


def test_status_of_a_running_stack_names_every_component_as_healthy(stack: LocalStack):
    told = json.loads(stack.command("status", "--json").stdout)

    assert told["healthy"]
    assert [one["name"] for one in told["components"]] == COMPONENTS
    assert {one["state"] for one in told["components"]} == {"running"}
    assert all(one["pid"] and one["since"] and Path(one["log"]).exists() for one in told["components"])


def test_status_shows_how_a_stopped_process_goes_on(stack: LocalStack):
    pid = stack.component("exporter")["pid"]

    os.kill(pid, signal.SIGSTOP)
    try:
        told = stack.component("exporter")
        (advice,) = re.findall(r"`(kill -CONT \d+)`", told["problem"])
    finally:
        os.kill(pid, signal.SIGCONT)

    assert not told["healthy"]
    assert advice == f"kill -CONT {pid}"
    wait_until(lambda: stack.component("exporter")["healthy"], 60, "the exporter to be healthy again")


def test_sockets_lie_in_a_home_with_spaces_quotes_and_percent_signs(stack: LocalStack):
    assert ODD in str(stack.home)
    assert stack.settings.socket_folder.parent == stack.home


def test_up_on_a_running_stack_restarts_nothing(stack: LocalStack):
    before = [one["pid"] for one in stack.status()["components"]]

    stack.start()

    assert [one["pid"] for one in stack.status()["components"]] == before


def test_each_database_is_there_and_listens_on_no_network(stack: LocalStack):
    for url in (stack.settings.ledger_url(), stack.settings.synced_url()):
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_crash_safety_of_postgres_stays_on(stack: LocalStack):
    with psycopg.connect(stack.settings.ledger_url().replace("+psycopg", "")) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)


def test_valkey_answers_on_its_socket(stack: LocalStack):
    with redis.Redis.from_url(stack.settings.valkey_url()) as client:
        assert client.ping()


def test_prefect_refuses_those_without_the_password(stack: LocalStack):
    url = stack.settings.api_url

    assert httpx.get(f"{url}/admin/version", trust_env=False).status_code == 401
    with api(stack.settings) as client:
        assert client.get("/admin/version").status_code == 200


def test_work_pool_has_its_queues_by_priority(stack: LocalStack):
    with api(stack.settings) as client:
        queues = client.post("/work_pools/jobs/queues/filter", json={}).json()

    assert {queue["name"]: queue["priority"] for queue in queues} == {"high": 1, "default": 2, "low": 3}


def test_no_secret_is_in_arguments_files_or_status(stack: LocalStack):
    secret = (stack.settings.auth_string() or "").partition(":")[2]
    assert len(secret) > 20

    assert stat.S_IMODE(stack.settings.auth_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(stack.settings.auth_file.parent.stat().st_mode) == 0o700
    assert not [one for one in stack.processes() if secret in " ".join(one.cmdline())]
    assert secret not in stack.command("status", "--json").stdout
    readable = [*(stack.home / "logs").iterdir(), stack.home / "run" / "supervisord.conf", stack.settings.stack_file]
    assert not [file for file in readable if secret in file.read_text(errors="replace")]


def test_env_points_prefects_own_commands_at_the_stack(stack: LocalStack):
    exports = stack.command("env").stdout
    elsewhere = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}

    pools = subprocess.run(
        ["/bin/sh", "-c", f'eval "$1"; exec {shlex.quote(sys.executable)} -m prefect work-pool ls', "sh", exports],
        env=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "jobs" in pools.stdout


def test_later_commands_find_the_ports_without_the_environment(stack: LocalStack):
    told = stack.command("status", "--json", REDRIVE_PREFECT_PORT="", REDRIVE_SMTP_PORT="")

    assert told.returncode == 0


@pytest.mark.slow
def test_a_second_stack_in_a_long_odd_folder_lives_beside_the_first(stack: LocalStack, tmp_path: Path):
    folder = tmp_path / """100 % of it's "quoted"; odd""" / ("long" * 20)
    folder.mkdir(parents=True)
    other = LocalStack(folder / ".redrive")
    try:
        other.start()

        assert len(str(other.home)) > 90
        assert other.settings.socket_folder.parent != other.home
        assert stack.status()["healthy"]
        assert other.status()["healthy"]

        other.command("down")

        assert not other.processes()
        assert stack.status()["healthy"]
    finally:
        other.stop()


def test_a_taken_port_is_named_with_its_owner_and_setting_and_nothing_starts(own_stack: LocalStack):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", own_stack.settings.smtp_port))
        taken.listen()

        failed = own_stack.command("up", check=False)

    assert failed.returncode == 1
    assert str(own_stack.settings.smtp_port) in failed.stderr
    assert f"process {os.getpid()} " in failed.stderr
    assert "REDRIVE_SMTP_PORT" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert not own_stack.processes()


def test_a_home_that_cannot_be_made_is_one_clear_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    stack = LocalStack(tmp_path / "file" / ".redrive", project=tmp_path)

    failed = stack.command("up", check=False)

    assert failed.returncode == 1
    assert "REDRIVE_HOME" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1


@pytest.mark.slow
def test_servers_of_ones_own_replace_the_embedded_ones(stack: LocalStack, tmp_path: Path):
    given = stack.settings
    auth = given.auth_string() or ""
    other = LocalStack(
        tmp_path / ".redrive",
        database_url=f"postgresql://postgres@/redrive?host={quote(str(given.socket_folder))}",
        redis_url=given.valkey_url(),
        smtp_url=given.mail_url(),
    )
    other.env |= {"PREFECT_API_URL": given.api_url, "PREFECT_API_AUTH_STRING": auth}
    try:
        other.start()

        states = {one["name"]: one["state"] for one in other.status()["components"]}
        replaced = ["postgres", "valkey", "mail", "prefect"]
        assert states == dict.fromkeys(TABLE, "running") | dict.fromkeys(replaced, "external")
        assert other.status()["healthy"]
        worker = psutil.Process(other.component("worker")["pid"])
        # The stack was given the ledger's address; whoever runs jobs was not.
        for process in (worker, *worker.children(recursive=True)):
            assert "REDRIVE_DATABASE_URL" not in process.environ()
    finally:
        other.stop()
    assert stack.status()["healthy"]


def test_an_unreachable_server_of_ones_own_is_named_before_anything_starts(tmp_path: Path):
    stack = LocalStack(tmp_path / ".redrive", redis_url="redis://127.0.0.1:1/0")

    failed = stack.command("up", check=False)

    assert failed.returncode == 1
    assert "REDRIVE_REDIS_URL" in failed.stderr
    assert not stack.processes()
