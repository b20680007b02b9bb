"""Prefect's API with made-up runs, for what the exporter asks: a real HTTP server, so that errors are real too.

Filters are those the exporter uses; one it does not know is a mistake and answers 500.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KNOWN = {"id", "state", "end_time", "next_scheduled_start_time", "deployment_id", "tags"}


class MadeUpApi:
    """Holds runs, flows, queues, workers and deployments; `calls` are the paths that were asked."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.flows: dict[str, str] = {}
        self.queues = {name: str(uuid4()) for name in ("high", "default", "low")}
        self.paused: set[str] = set()
        self.workers: list[str] = []
        self.deployments: list[dict[str, Any]] = []
        self.calls: list[str] = []
        #: Answered instead of everything, if set.
        self.status = 200
        #: How far its clock is ahead.
        self.ahead = timedelta(0)
        #: Held while an answer is to be late.
        self.hold = threading.Event()
        self.hold.set()

    def flow(self, name: str) -> str:
        for known, its_name in self.flows.items():
            if its_name == name:
                return known
        self.flows[made := str(uuid4())] = name
        return made

    def add(self, job: str, state: str = "COMPLETED", **more: Any) -> dict[str, Any]:
        """A run; times are datetimes."""
        run = a_run(flow_id=self.flow(job), state=state, **more)
        run["queue_id"] = self.queues.get(run["work_queue_name"])
        self.runs.append(run)
        return run

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        match path.strip("/").split("/"):
            case ["flow_runs", "filter"]:
                return self._page(body)
            case ["flow_runs", "count"]:
                return len(self._matching(body))
            case ["flows", "filter"]:
                wanted = body["flows"]["id"]["any_"]
                return [{"id": one, "name": self.flows[one]} for one in wanted if one in self.flows]
            case ["work_pools", _, "queues", "filter"]:
                return [
                    {"id": key, "name": name, "is_paused": name in self.paused} for name, key in self.queues.items()
                ]
            case ["work_pools", _, "workers", "filter"]:
                return [{"name": name} for name in self.workers]
            case ["deployments", "filter"]:
                return self.deployments[body["offset"] : body["offset"] + body["limit"]]
            case _:
                raise AssertionError(f"nothing answers {path}")

    def _matching(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = body["flow_runs"]
        assert not wanted.keys() - KNOWN, wanted
        queues = (body.get("work_pool_queues") or {}).get("id", {}).get("any_")
        pools = (body.get("work_pools") or {}).get("name", {}).get("any_")
        return [
            run
            for run in self.runs
            if (queues is None or run["queue_id"] in queues)
            and (pools is None or run["work_pool_name"] in pools)
            and _fits(run, wanted)
        ]

    def _page(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        column, _, order = body["sort"].lower().rpartition("_")
        found = sorted(self._matching(body), key=lambda run: run[column] or "", reverse=order == "desc")
        offset = body.get("offset", 0)
        return found[offset : offset + body["limit"]]


def a_run(
    *,
    flow_id: str,
    state: str = "COMPLETED",
    name: str | None = None,
    message: str = "",
    queue: str = "default",
    pool: str = "jobs",
    due: datetime = NOW,
    waited: float = 1,
    ran: float = 2,
    end: datetime | None = None,
    since: datetime | None = None,
    labels: dict[str, Any] | None = None,
    run_count: int = 1,
    run_id: str | None = None,
    deployment: str | None = "d",
) -> dict[str, Any]:
    started = due + timedelta(seconds=waited)
    final = state in {"COMPLETED", "CANCELLED", "FAILED", "CRASHED"}
    end = end or started + timedelta(seconds=ran)
    return {
        "id": run_id or str(uuid4()),
        "flow_id": flow_id,
        "deployment_id": deployment,
        "work_queue_name": queue,
        "work_pool_name": pool,
        "expected_start_time": due.isoformat(),
        "next_scheduled_start_time": due.isoformat() if state == "SCHEDULED" else None,
        "start_time": started.isoformat() if final or run_count else None,
        "end_time": end.isoformat() if final else None,
        "total_run_time": ran,
        "run_count": run_count,
        "labels": labels or {},
        "tags": [],
        "state": {
            "id": str(uuid4()),
            "type": state,
            "name": name or state.capitalize(),
            "message": message,
            "timestamp": (since or started).isoformat(),
        },
    }


def _fits(run: dict[str, Any], wanted: dict[str, Any]) -> bool:
    state = wanted.get("state", {})
    return (
        _any(run["state"]["type"], state.get("type"))
        and _any(run["id"], wanted.get("id"))
        and _any(run["state"]["name"], state.get("name"))
        and not (wanted.get("deployment_id", {}).get("is_null_") is False and run["deployment_id"] is None)
        and (run["deployment_id"] in wanted.get("deployment_id", {}).get("any_", [run["deployment_id"]]))
        and set(wanted.get("tags", {}).get("all_", [])) <= set(run["tags"])
        and all(_within(run[column], wanted[column]) for column in ("end_time", "next_scheduled_start_time") if column in wanted)
    )  # fmt: skip


def _any(value: str, wanted: dict[str, Any] | None) -> bool:
    wanted = wanted or {}
    return value in wanted.get("any_", [value]) and value not in wanted.get("not_any_", [])


def _within(told: str | None, wanted: dict[str, Any]) -> bool:
    if told is None:
        return False
    at = datetime.fromisoformat(told)
    after, before = wanted.get("after_"), wanted.get("before_")
    return (after is None or at >= datetime.fromisoformat(after)) and (
        before is None or at <= datetime.fromisoformat(before)
    )


@contextmanager
def serving(made_up: MadeUpApi) -> Iterator[str]:
    """The URL at which it answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two writes: without this, the second waits 40 ms for the other side's acknowledgement.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = self.path.removeprefix("/api")
            made_up.calls.append(path)
            made_up.hold.wait(60)
            status, answer = made_up.status, b"{}"
            if status == 200:
                try:
                    answer = json.dumps(made_up.answer(path, body)).encode()
                except (AssertionError, KeyError) as error:
                    status, answer = 500, repr(error).encode()
            self.send_response_only(status)
            self.send_header("Date", format_datetime(datetime.now(UTC) + made_up.ahead, usegmt=True))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
    finally:
        made_up.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


def state_id(run: dict[str, Any]) -> UUID:
    return UUID(run["state"]["id"])
