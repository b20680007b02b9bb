"""A run leaves the same rows whether its server has the fast calls or is Prefect's plain one: every table, but ids and times.

What differs is said in `infra/server/README.md` and written down in `DIFFERS`: a run is Running before its process has looked
at it, so one that cannot begin was Running too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from redrive.blocks.prefect.requests.fast import BEGIN, VERSION
from tests.support.plain_prefect import PATIENCE, PlainPrefect, moment, running_prefect
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]

#: Name of a case → flow and parameters.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "success": ("plain", {"number": 5}),
    "async": ("coroutine", {"number": 5}),
    "subflows": ("above", {}),
    "mapped": ("mapped", {}),
    "gathered": ("amapped", {}),
    "generator": ("generated", {}),
    "large result": ("large", {}),
    "artifacts": ("artifacts", {}),
    "retry in process": ("failing_task", {}),
    "failing flow": ("failing_flow", {}),
    "flow retried by Prefect": ("retried", {}),
    "name templates": ("templates", {"number": 7}),
    "hooks": ("hooked", {}),
    "killed": ("hooked", {"do": "die"}),
    "killed in a task": ("dying", {}),
    "exited": ("hooked", {"do": "exit"}),
    "cancelled": ("hooked", {"do": "wait"}),
    "suspended": ("suspended", {}),
    "tags": ("plain", {"number": 6}),
    "concurrency limit": ("plain", {"number": 7}),
    "longer than what is kept": ("quick", {"seconds": 1.2}),
    "wrong type": ("typed", {"number": "many"}),
    "import error": ("no_such_flow", {}),
}
#: A run that cannot begin; and the name that a run had when it began.
DIFFERS = {"wrong type", "import error", "name templates"}

#: How busy the machine is decides nothing.
NEVER_LATE = {"PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false"}

_ROWS = {
    "flow_run": "SELECT row_to_json(r) FROM flow_run r WHERE id = ANY(%s)",
    "flow_run_state": "SELECT row_to_json(r) FROM flow_run_state r WHERE flow_run_id = ANY(%s) ORDER BY timestamp",
    "task_run": "SELECT row_to_json(r) FROM task_run r WHERE flow_run_id = ANY(%s)",
    "task_run_state": "SELECT row_to_json(r) FROM task_run_state r JOIN task_run t ON t.id = r.task_run_id WHERE t.flow_run_id = ANY(%s)",
    "artifact": "SELECT row_to_json(r) FROM artifact r WHERE flow_run_id = ANY(%s)",
    "log": "SELECT row_to_json(r) FROM log r WHERE flow_run_id = ANY(%s)",
    "events": "SELECT row_to_json(r) FROM events r WHERE id IN (SELECT event_id FROM event_resources WHERE resource_id = ANY(%s))",
}
#: Sorted by time these would be; of several threads or of a batch, time says nothing.
_LOOSE = {"task_run", "task_run_state", "artifact", "log", "events"}


@dataclass(frozen=True)
class Trial:
    """All cases with one server."""

    prefect: PlainPrefect
    runs: dict[str, str]

    def rows(self, case: str) -> dict[str, list[str]]:
        found = {}
        family = _family(self.prefect, self.runs[case])
        names = [self.prefect.run(one)["name"] for one in family]
        with psycopg.connect(self.prefect.database) as connection:
            for table, query in _ROWS.items():
                wanted: list[Any] = [f"prefect.flow-run.{one}" for one in family] if table == "events" else family
                rows = [_plain(row[0], names) for row in connection.execute(query, [wanted])]
                found[table] = sorted(rows) if table in _LOOSE else rows
        return found


@pytest.fixture(scope="module")
def trials() -> Iterator[tuple[Trial, Trial]]:
    with ExitStack() as stack:
        both = []
        for fast in (True, False):
            prefect = stack.enter_context(running_prefect(fast=fast, **NEVER_LATE))
            both.append(_begin(prefect))
        for trial in both:
            _steer(trial)
        for trial in both:
            for case, run_id in trial.runs.items():
                if case != "suspended":
                    trial.prefect.end_of(run_id, 4 * PATIENCE)
        yield both[0], both[1]


# In the order of the table: processes that share the tests must collect the same.
@pytest.mark.parametrize("case", [case for case in CASES if case not in DIFFERS])
def test_same_rows(trials: tuple[Trial, Trial], case: str) -> None:
    fast, plain = trials

    # Logs, task runs and events come in after the end of the run.
    try:
        wait_until(lambda: not _different(fast.rows(case), plain.rows(case)), 60, "the rows to agree")
    except AssertionError:
        assert not _different(fast.rows(case), plain.rows(case))


def test_run_that_cannot_begin_was_running_and_ends_the_same(trials: tuple[Trial, Trial]) -> None:
    for case in DIFFERS - {"name templates"}:
        fast, plain = ([json.loads(row) for row in trial.rows(case)["flow_run_state"]] for trial in trials)

        assert [one["name"] for one in fast if one["name"] != "Running"] == [one["name"] for one in plain]
        assert fast[-1]["message"] == plain[-1]["message"]


def test_fast_calls_were_used(trials: tuple[Trial, Trial]) -> None:
    """Pending and Running in one statement: a microsecond lies between them."""
    gaps = []
    for trial in trials:
        _, pending, running, *_ = trial.prefect.states(trial.runs["success"])
        gaps.append(moment(running["timestamp"]) - moment(pending["timestamp"]))

    assert gaps[0] == timedelta(microseconds=1) < gaps[1]


def test_answer_of_a_call_tells_the_servers_time_as_prefects_own_do(trials: tuple[Trial, Trial]) -> None:
    told = trials[0].prefect.api.get(VERSION).headers["date"]

    assert abs(parsedate_to_datetime(told) - datetime.now(UTC)) < timedelta(minutes=1)


def test_run_that_a_search_for_due_runs_has_locked_begins_all_the_same(trials: tuple[Trial, Trial]) -> None:
    prefect = trials[0].prefect
    run = prefect.begin(prefect.deploy("plain", prefect.pool("warm")))
    body = {"runs": [{"id": run, "pid": "host:7", "move": str(uuid4())}], "labels": {}}

    with (
        psycopg.connect(prefect.database) as search,
        psycopg.connect(prefect.database, autocommit=True) as observer,
        ThreadPoolExecutor() as threads,
    ):
        search.execute("SELECT id FROM flow_run WHERE id = %s FOR UPDATE SKIP LOCKED", [run])
        answer = threads.submit(prefect.api.post, BEGIN, json=body)
        is_waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
        wait_until(lambda: answer.done() or observer.execute(is_waiting).fetchone(), PATIENCE, "the beginning")
        search.rollback()

        assert list(answer.result(PATIENCE).json()["begun"]) == [run]


def _begin(prefect: PlainPrefect) -> Trial:
    pool = prefect.pool("warm")
    runs = {}
    for case, (flow, parameters) in CASES.items():
        given = dict(parameters)
        if flow in {"hooked", "quick"}:
            given["folder"] = str(prefect.folder("fast"))
        more: dict[str, Any] = {"tags": ["blue", "green"]} if case == "tags" else {}
        if case == "concurrency limit":
            more["concurrency_limit"] = 1
        runs[case] = prefect.begin(prefect.deploy(flow, pool, **more), **given)
    prefect.worker(pool, "warm", limit=4)
    return Trial(prefect, runs)


def _steer(trial: Trial) -> None:
    prefect = trial.prefect
    run = prefect.run(trial.runs["cancelled"])
    waiting = Path(run["parameters"]["folder"]) / "waiting"
    wait_until(waiting.exists, 4 * PATIENCE, "the run to be cancelled to begin")
    prefect.in_state(run["id"], "Running")
    prefect.cancel(run["id"])
    prefect.in_state(trial.runs["suspended"], "Suspended", 4 * PATIENCE)


def _different(fast: dict[str, list[str]], plain: dict[str, list[str]]) -> list[str]:
    """What one has and the other has not."""
    found = []
    for table, rows in fast.items():
        extra, missing = list(rows), []
        for row in plain[table]:
            if row in extra:
                extra.remove(row)
            else:
                missing.append(row)
        found += [f"{table}, fast only: {row}" for row in extra] + [f"{table}, plain only: {row}" for row in missing]
    return found


def _family(prefect: PlainPrefect, run_id: str) -> list[str]:
    found = prefect.runs(flow_runs={"parent_flow_run_id": {"any_": [run_id]}})
    return [run_id, *(one for below in found for one in _family(prefect, below["id"]))]


def _plain(row: dict[str, Any], names: list[str]) -> str:
    """Without what differs from run to run: ids, times, names that were drawn, ports, folders, lines of tracebacks."""
    text = json.dumps({**row, "tags": sorted(row.get("tags") or [])}, sort_keys=True)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "ID", text)
    text = re.sub(r"[0-9a-f]{32,64}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?", "TIME", text)
    text = re.sub(r'"(total_run_time|estimated_run_time)": ("[^"]*"|[\d.e-]+)', r'"\1": "SPAN"', text)
    for name in names:
        text = text.replace(name, "NAME")
    text = re.sub(r"/tmp/[\w./-]+", "FOLDER", text)  # noqa: S108  (a pattern)
    text = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text)
    text = re.sub(r'"infrastructure_pid": "\d+"', '"infrastructure_pid": "PID"', text)
    text = re.sub(r"process \d+", "process PID", text)
    text = re.sub(r"\b[a-z]+-[0-9a-f]{3}\b", "TASK-XXX", text)
    # The key of a task is made of its file's place.
    text = re.sub(r"\b([a-z]+)-[0-9a-f]{8}\b", r"\1-KEY", text)
    text = re.sub(r'"(related|resource)[^"]*name": "a?double-XXX"', r'"\1": "XXX"', text)
    return re.sub(r"\b(worker)-\d+\b", r"\1-N", text)
