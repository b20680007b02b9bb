"""Tasks of a cancelled run end with it, and those of the last day's other cancelled runs are not looked at for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.server.database import provide_database_interface
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL, temporary_settings

from redrive.blocks.prefect.private.server import monitor_cancelled_flow_runs
from tests.support.postgres import PostgresServer
from tests.support.served import PATIENCE, serving
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack


class Docket:
    """Keeps what it is asked to do."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, UUID]] = []

    def add(self, _: Any, key: str) -> Callable[[UUID], Any]:
        async def adding(run_id: UUID) -> None:
            self.asked.append((key, run_id))

        return adding


def test_only_tasks_that_go_on_are_looked_at_and_they_end(postgres_server: PostgresServer, tmp_path: Path) -> None:
    url = postgres_server.database()

    with serving(url, tmp_path, "--no-services") as api:
        cancelled(api)
        cancelled(api, "COMPLETED")
        (goes_on,), run_id = cancelled(api, "RUNNING")
        running(api)
        asked = looked_at(url)
    with serving(url, tmp_path) as api:
        wait_until(
            lambda: api.get(f"/task_runs/{goes_on}").json()["state_type"] == "CANCELLED", PATIENCE, "its task to end"
        )

    assert asked == [(f"cancel-child-task-runs:{run_id}", UUID(run_id))]


def cancelled(api: httpx.Client, *tasks: str) -> tuple[list[str], str]:
    """A run that was cancelled while its tasks were in those states; the ids of both."""
    made, run_id = running(api, *tasks)
    api.post(f"/flow_runs/{run_id}/set_state", json={"state": {"type": "CANCELLED"}, "force": True}).raise_for_status()
    return made, run_id


def running(api: httpx.Client, *tasks: str) -> tuple[list[str], str]:
    flow = api.post("/flows/", json={"name": "any"}).raise_for_status().json()["id"]
    run = api.post("/flow_runs/", json={"flow_id": flow, "state": {"type": "RUNNING"}}).raise_for_status().json()["id"]
    made = [
        api.post(
            "/task_runs/",
            json={"flow_run_id": run, "task_key": "any", "dynamic_key": str(number), "state": {"type": state}},
        )
        .raise_for_status()
        .json()["id"]
        for number, state in enumerate(tasks)
    ]
    return made, run


def looked_at(url: str) -> list[tuple[str, UUID]]:
    """What one round asks for."""
    docket: Any = Docket()

    async def look() -> None:
        await monitor_cancelled_flow_runs(docket=docket, db=provide_database_interface())
        await (await provide_database_interface().engine()).dispose()

    with temporary_settings({PREFECT_SERVER_DATABASE_CONNECTION_URL: url.replace("+psycopg", "+asyncpg", 1)}):
        asyncio.run(look())
    return list(docket.asked)
