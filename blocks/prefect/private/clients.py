"""Prefect's clients in a child that runs jobs: they answer from memory what the engine knows, and say more in its first update."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from uuid import UUID

from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus
from prefect.context import AsyncClientContext, ContextModel, SyncClientContext
from prefect.events.worker import EventsWorker
from prefect.exceptions import Abort
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL

from redrive.blocks.prefect.private.begun import Begun, Json, begun_run, present
from redrive.blocks.prefect.requests.fast import FINISH, UnlessAbsent

T = TypeVar("T")

#: Seconds that the end of a run waits for the events before it to be with their client.
SETTLED = 1.0

#: Seconds that a claimed run waits in its process until the server lets it begin; clocks of several API servers may differ by less.
LONGEST_START = 60.0

#: What is known of the present run beyond what its engine is told.
noted: dict[str, Any] = {}


class Postponed(Abort):
    """A run that was claimed is not due for long: its process leaves it to the worker."""


class Reader:
    """A client that answers from memory, once, what the engine knows, and says more in the engine's first update."""

    _known: FlowRun | None = None
    _updating: Beside[Any] | None = None

    def finish_update(self) -> None:
        """Wait for the engine's first update of the run, if it is under way."""
        updating, self._updating = self._updating, None
        if updating is not None:
            updating.finish()

    def know(self, run: FlowRun) -> None:
        self._known = run

    def _recall(self, run_id: UUID) -> FlowRun | None:
        run, self._known = self._known, None
        return run if run is not None and run.id == run_id else None


class _WarmClient(Reader, SyncPrefectClient):
    def read_flow_run(self, flow_run_id: UUID) -> FlowRun:
        return self._recall(flow_run_id) or super().read_flow_run(flow_run_id)

    def update_flow_run(self, flow_run_id: UUID, **fields: Any) -> Any:  # type: ignore[override]  # called by keyword
        if any(begun.keep_update(flow_run_id, fields) for begun in present):
            return None
        signed = _with_process(flow_run_id, fields)
        update = functools.partial(super().update_flow_run, flow_run_id, **signed)
        if signed is fields:
            return update()
        # Running need not wait for it; the job does (`setup_run_context`).
        self._updating = Beside(update)
        return None

    def set_flow_run_state(self, flow_run_id: UUID, state: State[Any], force: bool = False) -> Any:  # type: ignore[override]  # noqa: FBT001, FBT002  (Prefect's)
        if (begun := begun_run(flow_run_id)) is not None:
            if accepted := begun.accept(state, force=force):
                return accepted
            begun.note_ahead(state, force=force)
            settle_events()
            if (body := begun.body(state, force=force)) and (done := self._finish(begun, body)):
                return done
            begun.leave()
        return _at_once(flow_run_id, super().set_flow_run_state(flow_run_id, state, force=force))

    def _finish(self, begun: Begun, body: Json) -> OrchestrationResult[Any] | None:
        with begun.noted(body), UnlessAbsent():
            answer = self.request("POST", FINISH, json=body)  # type: ignore[arg-type]  # ours
            return begun.answered(answer.json())
        return None


class Beside(Generic[T]):
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="redrive-update", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait for it; raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001  (raised by `finish`, where somebody can deal with it)
            self._error = error


class _AsyncWarmClient(Reader, PrefectClient):
    async def read_flow_run(self, flow_run_id: UUID) -> FlowRun:
        return self._recall(flow_run_id) or await super().read_flow_run(flow_run_id)

    async def update_flow_run(self, flow_run_id: UUID, **fields: Any) -> Any:  # type: ignore[override]  # as above
        if any(begun.keep_update(flow_run_id, fields) for begun in present):
            return None
        return await super().update_flow_run(flow_run_id, **_with_process(flow_run_id, fields))

    async def set_flow_run_state(self, flow_run_id: UUID, state: State[Any], force: bool = False) -> Any:  # type: ignore[override]  # noqa: FBT001, FBT002  (Prefect's)
        if (begun := begun_run(flow_run_id)) is not None:
            if accepted := begun.accept(state, force=force):
                return accepted
            begun.note_ahead(state, force=force)
            await asyncio.to_thread(settle_events)
            if (body := begun.body(state, force=force)) and (done := await self._finish(begun, body)):
                return done
            await asyncio.to_thread(begun.leave)
        return _at_once(flow_run_id, await super().set_flow_run_state(flow_run_id, state, force=force))

    async def _finish(self, begun: Begun, body: Json) -> OrchestrationResult[Any] | None:
        with begun.noted(body), UnlessAbsent():
            answer = await self.request("POST", FINISH, json=body)  # type: ignore[arg-type]  # ours
            return begun.answered(answer.json())
        return None


class WarmClientContext(SyncClientContext):
    """Enter once in a process: Prefect's own code then uses this client wherever it needs one."""

    def __init__(self) -> None:
        ContextModel.__init__(self, client=_WarmClient(PREFECT_API_URL.value(), **_credentials()))


class AsyncWarmClientContext(AsyncClientContext):
    """The same for one event loop."""

    def __init__(self) -> None:
        ContextModel.__init__(self, client=_AsyncWarmClient(PREFECT_API_URL.value(), **_credentials()))


def _credentials() -> dict[str, Any]:
    return {"auth_string": PREFECT_API_AUTH_STRING.value(), "api_key": PREFECT_API_KEY.value()}


def _at_once(run_id: UUID, answer: OrchestrationResult[Any]) -> OrchestrationResult[Any]:
    """The answer to a proposal, unless it is to wait for long before the run may begin.

    A worker claims what is due, so the server's clock was put back since, and its time would come when that clock is there again.

    Raises:
        Postponed: the run is left as it was claimed.
    """
    if answer.status == SetStateStatus.WAIT and noted.get("begun") == run_id:
        seconds = float(getattr(answer.details, "delay_seconds", 0))
        if seconds > LONGEST_START:
            noted["postponed"] = seconds
            raise Postponed(f"run {run_id} may begin in {seconds:.0f} s only")
    return answer


def _with_process(run_id: UUID, fields: dict[str, Any]) -> dict[str, Any]:
    """The engine's first update of a run, with the process that runs it."""
    if "empirical_policy" in fields and noted.get("run") == run_id and "pid" in noted:
        return {"infrastructure_pid": noted.pop("pid"), **fields}
    return fields


def settle_events() -> None:
    """Wait until the events of this process are with its client, which keeps or sends them; not long, if that cannot."""
    for worker in tuple(EventsWorker._instances.values()):  # type: ignore[misc]  # of all its kinds
        if isinstance(worker, EventsWorker):
            waiting = worker._queue
            with waiting.all_tasks_done:
                waiting.all_tasks_done.wait_for(lambda queue=waiting: not queue.unfinished_tasks, SETTLED)  # type: ignore[misc]
