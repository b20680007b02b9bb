"""The world the reference is compared with: a real Prefect server and ledger, the keeper's real duties, workers told by hand.

What a worker and a job would do stands here as the API calls they make, so that a step takes milliseconds and every order of
events can be tried. The keeper's clock is an argument, so a lease of 90 s is over when the test says so.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import time_machine

from redrive.blocks.core.settings import Settings, settings
from redrive.blocks.prefect.labels import ERROR, REASON, TRIES, WORKER
from redrive.blocks.prefect.states import DEAD_LETTER
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Ledger
from redrive.deployments.register import register
from redrive.flows.engine import begun
from tests.chaos.model.duties import Duties
from tests.support.job_stack import ROOT, pointed_at
from tests.support.model_jobs import MODEL
from tests.support.plain_prefect import PlainPrefect
from tests.support.postgres import running_server
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

Json = dict[str, Any]

#: Looks of the keeper that together are longer than the lease; each is shorter than the gap that says nothing.
LOOKS, POLL = 6, 30.0
#: Seconds within which a crash that a worker reported is rescued: a moment's grace, and what the keeper's clock may be behind.
PATIENCE = 10


@dataclass
class Attempt:
    """One start of a job by a worker that exists only here."""

    run_id: UUID
    worker: str
    id: str


class World:
    """One server for all examples; each example makes jobs of its own and leaves nothing unsettled."""

    def __init__(self, prefect: PlainPrefect, home: Path, database: str) -> None:
        self.home = home
        home.mkdir(exist_ok=True)
        self.env = {
            "REDRIVE_HOME": str(home),
            "REDRIVE_JOBS": "tests.support.model_jobs",
            "REDRIVE_DATABASE_URL": database,
            "PREFECT_API_URL": prefect.url,
        }
        self.settings = Settings.load(self.env)
        self._prefect = prefect
        self._now = 1_000_000.0
        self._alive: dict[str, Attempt] = {}

    def open(self) -> None:
        """Register the job types and start the keeper."""
        register(settings())
        self.ledger = Ledger(settings().ledger_url())
        self.ledger.migrate()
        self.restart_keeper()

    def restart_keeper(self) -> None:
        """A new keeper knows nothing of what the one before saw."""
        self._duties = Duties(settings(), self.ledger)

    # What workers and jobs do

    def start(self, run_id: UUID) -> Attempt:
        """A worker claims it and its job begins."""
        pending = self._post(
            "/flow_runs/bulk_set_state",
            flow_runs={"id": {"any_": [str(run_id)]}, "state": {"type": {"any_": ["SCHEDULED"]}}},
            state={"type": "PENDING", "name": "Pending", "state_details": {"transition_id": str(uuid4())}},
        )["results"]
        assert [one["status"] for one in pending] == ["ACCEPT"], f"a waiting job could not be claimed: {pending}"
        made = Attempt(run_id, f"model-{uuid4().hex[:12]}", pending[0]["state"]["id"])
        api().update_flow_run_labels(run_id, {WORKER: made.worker, "redrive.attempt": made.id})
        self._alive[made.worker] = made
        self._beat()
        self._set(run_id, "RUNNING", "Running")
        begun.begun(MODEL, api().read_flow_run(run_id), {})
        return made

    def complete(self, one: Attempt) -> None:
        self._end(one, "COMPLETED", "Completed")

    def fail(self, one: Attempt) -> None:
        api().update_flow_run_labels(one.run_id, {TRIES: MODEL.policy.max_tries, REASON: "tries", ERROR: "ValueError"})
        self._end(one, "FAILED", DEAD_LETTER, "dead letter: 2 of 2 tries failed (ValueError): never")

    def wait(self, one: Attempt) -> None:
        api().update_flow_run_labels(one.run_id, {WORKER: "", "redrive.attempt": ""})
        # Its backoff is over as soon as a worker is told to take it.
        self._set(one.run_id, "SCHEDULED", "AwaitingRetry", scheduled_time=datetime.now(UTC).isoformat())
        del self._alive[one.worker]

    def report_crash(self, one: Attempt) -> None:
        """The worker saw the process end and says so."""
        self._end(one, "CRASHED", "Crashed", f"worker {one.worker}: its process exited with status code: -9")

    def lose(self, one: Attempt) -> None:
        """Worker and process are gone, and nobody says anything."""
        del self._alive[one.worker]

    # What people do in Prefect

    def retry_in_prefect(self, run_id: UUID) -> None:
        """The button: forced, as both of Prefect's UIs do it."""
        details = {"scheduled_time": datetime.now(UTC).isoformat(), "transition_id": str(uuid4())}
        state = {"type": "SCHEDULED", "name": "AwaitingRetry", "state_details": details}
        self._post(f"/flow_runs/{run_id}/set_state", state=state, force=True)

    # What the keeper does

    def sweep(self, duty: str) -> None:
        """One duty, once."""
        self._beat()
        self._now += 1
        self._duties.do(duty, now=self._now)

    def settle(self) -> None:
        """All duties, until every lease that can be over is, and what that brought is in the ledger."""
        for _ in range(LOOKS):
            self._now += POLL
            self._beat()
            self._duties.do("rescue", now=self._now)
        # A process that was just reported may still be on its way out, so the keeper leaves it a moment, by the server's clock. Where
        # its own is an hour off, it knows that one to a second or two.
        wait_until(self._nothing_is_crashed, PATIENCE, "the rescue of what crashed")
        # A redriven job's death is collected before its row is followed, and the other way round: both orders, twice.
        for _ in range(2):
            for duty in self._duties.names:
                self.sweep(duty)

    def _nothing_is_crashed(self) -> bool:
        self.sweep("rescue")
        return not self._post("/flow_runs/filter", flow_runs={"state": {"type": {"any_": ["CRASHED"]}}}, limit=1)

    def prune(self) -> None:
        self._duties.prune(datetime.now(UTC) + timedelta(days=1))

    # What there is to see

    def runs(self, ids: list[UUID]) -> dict[UUID, Json]:
        found = self._post("/flow_runs/filter", flow_runs={"id": {"any_": [str(one) for one in ids]}}, limit=200)
        return {UUID(run["id"]): run for run in found}

    def rows(self) -> dict[UUID, DeadLetter]:
        """Every row of the ledger by run."""
        rows: dict[UUID, DeadLetter] = {}
        cursor = None
        while True:
            page = self.ledger.find(Filter(), limit=500, cursor=cursor)
            rows |= {row.run_id: row for row in page.rows}
            if (cursor := page.next) is None:
                return rows

    # Parts

    def _end(self, one: Attempt, kind: str, name: str, message: str = "") -> None:
        self._set(one.run_id, kind, name, message)
        del self._alive[one.worker]

    def _set(self, run_id: UUID, kind: str, name: str, message: str = "", **details: Any) -> None:
        state = {"type": kind, "name": name, "message": message}
        state["state_details"] = {"transition_id": str(uuid4()), **details}
        answer = self._post(f"/flow_runs/{run_id}/set_state", state=state, force=False)
        assert answer["status"] == "ACCEPT", f"{name} was refused: {answer}"

    def _beat(self) -> None:
        """Workers that live send their heartbeat."""
        for name in self._alive:
            self._post("/work_pools/jobs/workers/heartbeat", name=name, heartbeat_interval_seconds=30)

    def _post(self, path: str, **body: Any) -> Any:
        answer = self._prefect.api.post(path, json=body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


@contextmanager
def stepped_clock(hours: float) -> Iterator[None]:
    """The keeper's and the commands' wall clock is off by so much; Prefect's server and the databases have theirs."""
    if not hours:
        yield
        return
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
        yield


@contextmanager
def running_world() -> Iterator[World]:
    """A server, a ledger and a keeper in this process; all gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="redrive-model-"))
    before = Path.cwd()
    try:
        with running_server() as postgres, PlainPrefect(home, postgres.database()) as prefect:
            database = postgres.database().replace("postgresql+psycopg://", "postgresql://", 1)
            world = World(prefect, home / ".redrive", database)
            os.chdir(ROOT)
            with pointed_at(world):
                world.open()
                yield world
                world.ledger.close()
    finally:
        os.chdir(before)
        shutil.rmtree(home, ignore_errors=True)
