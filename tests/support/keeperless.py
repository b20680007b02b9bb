"""A Prefect server without a keeper: what a test does to its runs, nobody else acts on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from redrive.blocks.core.settings import settings
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.run import Run
from redrive.deployments.dead_letters.ledger import Ledger
from tests.support.job_stack import forget_caches
from tests.support.plain_prefect import PlainPrefect
from tests.support.postgres import PostgresServer
from tests.support.prefect_client import api

#: What the parameters of its jobs are.
SCHEMA = {"type": "object", "properties": {"corrected": {"type": "string"}}}


class Keeperless:
    """Its runs, in pools of our own names and of others, and an empty ledger."""

    def __init__(self, prefect: PlainPrefect, ledger: Ledger) -> None:
        self.ledger = ledger
        self._api = prefect.api
        self._deployments: set[str] = set()

    def deployment(self, pool: str, *, flow: str = "kept", pool_type: str = "process") -> str:
        """Of a flow in a pool, both made when they are not there."""
        if self._api.get(f"/work_pools/{pool}").status_code == httpx.codes.NOT_FOUND:
            self._post("/work_pools/", {"name": pool, "type": pool_type, "base_job_template": {}})
        flow_id = self._post("/flows/", {"name": flow})["id"]
        body = {"name": flow, "flow_id": flow_id, "work_pool_name": pool, "work_queue_name": "default"}
        body |= {"parameter_openapi_schema": SCHEMA, "enforce_parameter_schema": False}
        made = str(self._post("/deployments/", body)["id"])
        self._deployments.add(made)
        return made

    def run(self, deployment: str, *, labels: dict[str, Any] | None = None, **body: Any) -> UUID:
        run = self._post(f"/deployments/{deployment}/create_flow_run", {"labels": labels or {}, **body})
        return UUID(run["id"])

    def set(self, run_id: UUID, kind: str, name: str | None = None, message: str = "") -> None:
        """Put a run into a state, past all rules."""
        state = {"type": kind, "name": name or kind.capitalize(), "message": message}
        self._post(f"/flow_runs/{run_id}/set_state", {"state": state, "force": True})

    def label(self, run_id: UUID, **labels: Any) -> None:
        values = {name.replace("__", "."): value for name, value in labels.items()}
        self._api.patch(f"/flow_runs/{run_id}/labels", json=values).raise_for_status()

    def read(self, run_id: UUID) -> Run:
        return runs.by_id([run_id])[run_id]

    def delete(self, run_id: UUID) -> None:
        self._api.delete(f"/flow_runs/{run_id}").raise_for_status()

    def ids(self, deployment: str) -> set[UUID]:
        """All runs of a deployment."""
        body = {"deployments": {"id": {"any_": [deployment]}}, "limit": 200}
        return {UUID(run["id"]) for run in self._post("/flow_runs/filter", body)}

    def rows(self) -> dict[UUID, str]:
        """Error type of each row, by run."""
        return {row.run_id: row.error_type for row in self.ledger.find(limit=500).rows}

    def forget(self) -> None:
        """Leave no run to the next test, nor one that replaced another."""
        for run_id in {run_id for deployment in self._deployments for run_id in self.ids(deployment)}:
            self.delete(run_id)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._api.post(path, json=body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()


@pytest.fixture
def keeperless(
    plain_prefect: PlainPrefect, postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Keeperless]:
    """The session's stock server, this process pointed at it, and a ledger of the test's own."""
    monkeypatch.setenv("PREFECT_API_URL", plain_prefect.url)
    monkeypatch.setenv("REDRIVE_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)
    monkeypatch.setenv("REDRIVE_DATABASE_URL", postgres_server.database())
    forget_caches()
    assert str(api().api_url).startswith(plain_prefect.url)
    with Ledger(settings().ledger_url()) as ledger:
        ledger.migrate()
        here = Keeperless(plain_prefect, ledger)
        yield here
        here.forget()
    forget_caches()
