"""The worker's calls to Prefect's API about runs, as JSON: no call more than a run needs, and nothing parsed that is only passed on.

Danger: `set_state` has no compare-and-set. What is decided from a state that was read a while ago is read again first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from redrive.blocks.prefect.labels import ATTEMPT, WORKER
from redrive.blocks.prefect.server_clock import SERVER_CLOCK

Json = dict[str, Any]

_NOT_FOUND = 404
#: Runs of one answer, at most.
_PAGE = 200
#: Answers of a deployment's concurrency limit and the like: seconds until a run is asked for again.
WAIT = 5.0


class RunApi:
    """Raises `httpx.HTTPError` when the API is away."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client

    async def due(self, pool: str, *, before: datetime, queues: Iterable[str], limit: int) -> list[Json]:
        """Runs that wait in the pool's queues and are scheduled before a time, by priority of the queue and then by time."""
        body: Json = {"scheduled_before": before.isoformat(), "limit": limit}
        if names := list(queues):
            body["work_queue_names"] = names
        answer = await self._client.request(
            "POST", "/work_pools/{name}/get_scheduled_flow_runs", path_params={"name": pool}, json=body
        )
        SERVER_CLOCK.observe(answer.headers.get("date"))
        found: list[Json] = answer.json()
        return found

    async def queues(self, pool: str) -> list[Json]:
        """The pool's queues with `id`, `name` and `priority`."""
        answer = await self._client.request(
            "POST", "/work_pools/{work_pool_name}/queues/filter", path_params={"work_pool_name": pool}, json={}
        )
        found: list[Json] = answer.json()
        return found

    async def claim(self, run_id: str) -> Json | None:
        """Propose Pending for a run that still waits: the server's answer as of `propose`, None if it waits no more.

        By the call for many runs, as it takes a condition: proposed plainly, Prefect would accept Pending for a run that another
        worker took and completed since we saw it, and it would run twice.
        """
        return await self.transition(run_id, {"type": "PENDING", "name": "Pending"}, only_from=["SCHEDULED"])

    async def transition(
        self, run_id: str, state: Json, *, only_from: Iterable[str], force: bool = False
    ) -> Json | None:
        """Propose a state for a run in a state of these types: the server's answer as of `propose`, None if it is in another."""
        details = {"transition_id": str(uuid4()), **state.get("state_details", {})}
        answer = await self._client.request(
            "POST",
            "/flow_runs/bulk_set_state",  # type: ignore[arg-type]  # Prefect's list of routes forgets it
            json={
                "flow_runs": {"id": {"any_": [run_id]}, "state": {"type": {"any_": list(only_from)}}},
                "state": {**state, "state_details": details},
                "force": force,
                "limit": 1,
            },
        )
        results: list[Json] = answer.json()["results"]
        return results[0] if results else None

    async def wait_again(self, run_id: str, message: str, *, only_from: Iterable[str]) -> Json | None:
        """Make a run of these types wait for any worker, from now on; as of `transition`."""
        details = {"scheduled_time": SERVER_CLOCK.now().isoformat()}
        state: Json = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": message, "state_details": details}
        return await self.transition(run_id, state, only_from=only_from)

    async def propose(self, run_id: str, state: Json, *, force: bool = False) -> Json:
        """Propose a state: the server's answer with `status`, `state` and `details`."""
        details = {"transition_id": str(uuid4()), **state.get("state_details", {})}
        answer = await self._client.request(
            "POST",
            "/flow_runs/{id}/set_state",
            path_params={"id": run_id},
            json={"state": {**state, "state_details": details}, "force": force},
        )
        found: Json = answer.json()
        return found

    async def read(self, run_id: str) -> Json | None:
        """A run; None if it was deleted."""
        try:
            answer = await self._client.request("GET", "/flow_runs/{id}", path_params={"id": run_id})
        except PrefectHTTPStatusError as error:
            if error.response.status_code == _NOT_FOUND:
                return None
            raise
        found: Json = answer.json()
        return found

    async def states(self, run_ids: Iterable[str], types: Iterable[str]) -> dict[str, str]:
        """Of these runs, those in a state of these types, with the name of the state."""
        body = {"flow_runs": {"id": {"any_": list(run_ids)}, "state": {"type": {"any_": list(types)}}}, "limit": 200}
        answer = await self._client.request("POST", "/flow_runs/filter", json=body)
        return {run["id"]: run["state"]["name"] for run in answer.json()}

    async def in_progress(self, pool: str, types: Iterable[str]) -> list[Json]:
        """All runs of a pool in states of these types."""
        found: dict[str, Json] = {}
        while True:
            wanted = {"state": {"type": {"any_": list(types)}}, "id": {"not_any_": list(found)}}
            body = {"flow_runs": wanted, "work_pools": {"name": {"any_": [pool]}}, "limit": _PAGE}
            answer = (await self._client.request("POST", "/flow_runs/filter", json=body)).json()
            found |= {run["id"]: run for run in answer}
            if len(answer) < _PAGE:
                return list(found.values())

    async def latest_claim(self, run_id: str) -> str | None:
        """The id of the Pending state that a run had last; None if it never had one."""
        answer = await self._client.request("GET", "/flow_run_states/", params={"flow_run_id": run_id})
        claims = [state for state in answer.json() if state["type"] == "PENDING"]
        return max(claims, key=lambda state: datetime.fromisoformat(state["timestamp"]))["id"] if claims else None

    async def label(self, run_id: str, labels: Json) -> None:
        await self._client.request("PATCH", "/flow_runs/{id}/labels", path_params={"id": run_id}, json=labels)

    async def forget_process(self, run_id: str) -> None:
        """Nobody has the run any more: with a process id still on it, cancelling it would wait for that process."""
        await self._client.request(
            "PATCH", "/flow_runs/{id}", path_params={"id": run_id}, json={"infrastructure_pid": None}
        )
        await self.label(run_id, {WORKER: "", ATTEMPT: ""})

    async def deployment(self, deployment_id: str) -> Json | None:
        """A deployment; None if it was deleted."""
        try:
            answer = await self._client.request("GET", "/deployments/{id}", path_params={"id": deployment_id})
        except (ObjectNotFound, PrefectHTTPStatusError) as error:
            if isinstance(error, PrefectHTTPStatusError) and error.response.status_code != _NOT_FOUND:
                raise
            return None
        found: Json = answer.json()
        return found

    async def flow_name(self, flow_id: str) -> str:
        answer = await self._client.request("GET", "/flows/{id}", path_params={"id": flow_id})
        return str(answer.json()["name"])

    async def deployments(self, pool: str) -> list[Json]:
        """Deployments of a pool; at most 200."""
        answer = await self._client.request(
            "POST", "/deployments/filter", json={"work_pools": {"name": {"any_": [pool]}}, "limit": 200}
        )
        found: list[Json] = answer.json()
        return found


def unreachable(error: Exception) -> bool:
    """Whether an error is one that passes: no connection, no answer in time, or a server in trouble."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500  # noqa: PLR2004  (HTTP's own class of server errors)
    return isinstance(error, httpx.HTTPError)
