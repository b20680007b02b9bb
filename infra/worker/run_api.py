"""The worker's questions about runs, as JSON: no call more than a run needs, and nothing parsed that is only passed on.

Danger: what is decided from a state that was read a while ago is read again first, or asked with a condition.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from redrive.blocks.prefect.labels import NOBODY
from redrive.blocks.prefect.paging import Order, Place, page
from redrive.blocks.prefect.past import last_of
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import artifacts, deployments, fast, flows, queues, runs
from redrive.blocks.prefect.states import AWAITING_RETRY, PENDING, SCHEDULED, PastState, identified, state
from redrive.blocks.prefect.wanted import Wanted
from redrive.blocks.prefect.worker_client import WorkerClient

__all__ = ["Json", "RunApi"]


class RunApi:
    """Raises `httpx.HTTPError` when the API is unavailable."""

    def __init__(self, client: WorkerClient) -> None:
        self._client = client

    async def due(self, pool: str, *, before: datetime, queues: Iterable[str], limit: int) -> list[Json]:
        """Runs that wait in the pool's queues and are scheduled before a time, by priority of the queue and then by time."""
        return await self._client.ask(runs.due(pool, before=before, queues=queues, limit=limit))

    async def queues(self, pool: str) -> list[Json]:
        """The pool's queues with `id`, `name` and `priority`."""
        return await self._client.ask(queues.of_pool(pool))

    async def begin(self, wanted: list[Json], labels: Json) -> dict[str, Json | None]:
        """Claim, sign and start runs in one call, as of `fast.begin`; none if the server has no such call."""
        if not fast.may_be_there():
            return {}
        with fast.UnlessAbsent():
            return await self._client.ask(fast.begin(wanted, labels))
        return {}

    async def finish(self, request: Json) -> bool:
        """Bring a run to its end by the server's one call; whether it did, or had done so before."""
        with fast.UnlessAbsent():
            return bool((await self._client.ask(fast.finish(request)))["state"])
        return False

    async def publish(self, artifact: Json) -> None:
        """Show something beside a run."""
        await self._client.ask(artifacts.create(artifact))

    async def claim(self, run_id: str) -> Json | None:
        """Propose Pending for a run that still waits: the server's answer, None if it waits no more.

        With a condition: proposed plainly, Prefect would accept Pending for a run that another worker took and completed since we
        saw it, and it would run twice.
        """
        return await self.transition(run_id, state(PENDING), only_from=[SCHEDULED])

    async def transition(
        self, run_id: str, wanted: Json, *, only_from: Iterable[str], state_id: str | None = None, force: bool = False
    ) -> Json | None:
        """Propose a state for a run in a state of these types: the server's answer, None if it is in another.

        Args:
            state_id: of the very state in which it was read. Prefect's plain server takes no such condition.
            force: past Prefect's own rules; the condition holds all the same.
        """
        types, mine = list(only_from), identified(wanted)
        results: list[Json] | None = None
        if fast.may_be_there():
            with fast.UnlessAbsent():
                change = fast.change(run_id, mine, types=types, names=(), state_id=state_id, force=force)
                results = await self._client.ask(change)
        if results is None:
            fitting = Wanted(ids=[UUID(run_id)], types=types, deployed=False)
            results = await self._client.ask(runs.set_states(fitting.flow_runs(), mine, force=force, limit=1))
        return results[0] if results else None

    async def wait_again(
        self, run_id: str, message: str, *, at: datetime, only_from: Iterable[str], state_id: str
    ) -> Json | None:
        """Make a run of these types wait for any worker, from a time on; as of `transition`."""
        waiting = state(SCHEDULED, name=AWAITING_RETRY, message=message, at=at)
        return await self.transition(run_id, waiting, only_from=only_from, state_id=state_id)

    async def read(self, run_id: str) -> Json | None:
        """A run; None if it was deleted."""
        return await self._client.ask(runs.read(run_id).or_none())

    async def states(self, run_ids: Iterable[str], types: Iterable[str]) -> dict[str, str]:
        """Of these runs, those in a state of these types, with the name of the state."""
        body = {"flow_runs": {"id": {"any_": list(run_ids)}, "state": {"type": {"any_": list(types)}}}, "limit": 200}
        return {run["id"]: run["state"]["name"] for run in await self._client.ask(runs.find(body))}

    async def in_progress(self, pool: str, types: Iterable[str]) -> list[Json]:
        """All runs of a pool in states of these types."""
        wanted = Wanted(types=list(types), pools=[pool], deployed=False)
        found: list[Json] = []
        place: Place | None = None
        while True:
            answer = await self._client.ask(page(wanted, Order.EXPECTED, after=place))
            found += answer.runs
            if answer.next is None:
                return found
            place = answer.next

    async def latest_claim(self, run_id: str) -> str | None:
        """The id of the Pending state that a run had last; None if it never had one, or was deleted."""
        run = await self.read(run_id)
        if run is None:
            return None
        history = [PastState.of(one) for one in await self._client.ask(runs.history(run_id))]
        claim = last_of(history, PENDING, now=run["state_id"])
        return str(claim.id) if claim else None

    async def update(self, run_id: str, fields: Json) -> None:
        """Change fields of a run."""
        await self._client.ask(runs.update(run_id, fields))

    async def label(self, run_id: str, labels: Json) -> None:
        """Write labels on a run; the others stay."""
        await self._client.ask(runs.label(run_id, labels))

    async def forget_process(self, run_id: str, state_id: str, labels: Json) -> bool:
        """Nobody has the run any more, and it gets these labels; False if it is in another state than that by now, and nothing was
        written.

        Prefect's plain server takes no such condition: there it is written in any case.
        """
        if fast.may_be_there():
            with fast.UnlessAbsent():
                forgotten: bool | None = await self._client.ask(fast.forget(run_id, state_id, {**NOBODY, **labels}))
                return bool(forgotten)
        await self._client.ask(runs.forget_pid(run_id))
        await self.label(run_id, {**NOBODY, **labels})
        return True

    async def deployment(self, deployment_id: str) -> Json | None:
        """A deployment; None if it was deleted."""
        return await self._client.ask(deployments.read(deployment_id).or_none())

    async def flow_name(self, flow_id: str) -> str:
        """The name of a flow: the job type, for Redrive's jobs."""
        return await self._client.ask(flows.name(flow_id))

    async def deployments(self, pool: str) -> list[Json]:
        """Deployments of a pool; at most 200."""
        return await self._client.ask(deployments.of_pool(pool))
