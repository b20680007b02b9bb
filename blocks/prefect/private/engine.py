"""Prefect's flow engine in a child that runs jobs.

`install` changes the flow engine of a child process so that a run costs few calls: one observer a worker instead of one a
run, no heartbeat a run, no second reading of a run that the worker already has.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Literal, ParamSpec, TypeVar
from uuid import UUID

import prefect.flow_engine
import prefect.results
from prefect import Flow
from prefect._flow_run_suspension import mark_flow_run_suspension_requested, register_flow_run_suspension_request
from prefect._internal import control_listener
from prefect._internal.metrics import RunMetrics
from prefect.client.schemas.objects import FlowRun, State
from prefect.engine import _drive_run_flow_result
from prefect.events.clients import PrefectEventsClient
from prefect.flow_engine import AsyncFlowRunEngine, FlowRunEngine, run_flow

from redrive.blocks.prefect.private import once
from redrive.blocks.prefect.private.begun import Begun, present
from redrive.blocks.prefect.private.clients import (
    AsyncWarmClientContext,
    Reader,
    WarmClientContext,
    noted,
    settle_events,
)
from redrive.blocks.prefect.private.sending import kept_or_sent, send_event, send_update

#: Seconds the answer "which default result storage does the server have" is good for.
STORAGE_ANSWER = 10.0

__all__ = [
    "AsyncWarmClientContext",
    "Conclusion",
    "WarmClientContext",
    "begin",
    "conclude",
    "end",
    "install",
    "run_hooks",
    "run_to_its_end",
    "set_intent",
    "suspend",
]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

#: The engines of the present run: its own first, then those of subflows.
_engines: list[Any] = []
#: What became of a run in its process: it said how the run ended, it gave way to somebody else who acted on the run, the server told it
#: to wait for long before it may begin, or none of these.
Conclusion = Literal["reported", "aborted", "postponed", "none"]


def install() -> None:
    """Make this process's flow engine a warm one. Once, right after the fork."""
    prefect.flow_engine.FlowRunEngine = _WarmEngine  # type: ignore[misc]  # the point of it
    prefect.flow_engine.AsyncFlowRunEngine = _AsyncWarmEngine  # type: ignore[misc]  # as above
    prefect.results._read_server_default_result_storage_block_id = _remembered(
        prefect.results._read_server_default_result_storage_block_id
    )
    prefect.results._aread_server_default_result_storage_block_id = _aremembered(
        prefect.results._aread_server_default_result_storage_block_id
    )
    PrefectEventsClient._emit = kept_or_sent(PrefectEventsClient._emit)  # type: ignore[method-assign]  # as above
    once.install()


def begin(
    run_id: UUID,
    infrastructure_pid: str,
    running: dict[str, Any] | None = None,
    notify: Callable[[dict[str, Any]], None] = lambda _: None,
    note_end: Callable[[dict[str, Any] | None, dict[str, Any] | None], None] = lambda *_: None,
) -> None:
    """Before a run: forget the one before, and note which process runs it, or with which Running state it was begun.

    Args:
        run_id: of the run.
        infrastructure_pid: of this process, as the run is to carry it.
        running: the state it was begun with, if it was.
        notify: hands the worker what this process keeps until the end.
        note_end: of `Begun`.
    """
    _engines.clear()
    noted.clear()
    present.clear()
    noted.update(run=run_id, begun=run_id)
    if running is None:
        noted.update(pid=infrastructure_pid)
    else:
        state = State.model_validate(running)
        update = functools.partial(send_update, run_id)
        present.append(Begun(run_id, state, update, send_event, settle_events, notify, note_end))
    control_listener.clear_intent()


def end() -> None:
    """After a run: send what was kept of it."""
    for begun in present:
        begun.end()
    present.clear()


def run_to_its_end(flow: Flow[..., Any], flow_run: FlowRun, logger: Any, drive: Callable[[Any], Any]) -> None:
    """Run a flow as Prefect's own engine process does; `drive` runs a coroutine."""
    with RunMetrics(flow_run, flow):
        result = run_flow(flow, flow_run=flow_run, error_logger=logger)
        if inspect.iscoroutine(result):
            drive(result)
        elif inspect.isasyncgen(result):
            drive(_exhaust(result))
        else:
            _drive_run_flow_result(flow, result)


async def _exhaust(generator: AsyncGenerator[Any, Any]) -> None:
    async for _ in generator:
        pass


def conclude() -> Conclusion:
    """Whether the engine brought the run to where it belongs, so that nobody else has to; `aborted` if it gave way to others."""
    if not _engines:
        return "none"
    engine = _engines[0]
    if "postponed" in noted:
        return "postponed"
    if engine._attempt_conclusion is not None:
        return "aborted" if engine._attempt_conclusion.state_id is None else "reported"
    state = engine.flow_run.state if engine.flow_run else None
    return "reported" if state and (state.is_final() or state.is_paused() or state.is_scheduled()) else "none"


async def run_hooks(load: Callable[[FlowRun], Awaitable[Flow[..., Any]]], flow_run: FlowRun, state: State[Any]) -> None:
    """Run the hooks of a run whose process died before it could, as Prefect's own worker does and logs it."""
    from prefect.runner._hook_runner import HookRunner  # noqa: PLC0415  (rare, and `prefect.runner` is large)

    runner = HookRunner(resolve_flow=load)
    await runner.run_cancellation_hooks(flow_run, state)
    await runner.run_crashed_hooks(flow_run, state)


def set_intent(intent: Any) -> None:
    """Tell the engine why a SIGTERM is about to come."""
    control_listener._set_intent(intent)


def suspend(run_id: UUID, state: State[Any]) -> None:
    """Tell the engine that its run was suspended; it leaves at its next step."""
    mark_flow_run_suspension_requested(run_id, state)


class _Warm:
    """What the engines of both kinds do differently; see the module."""

    flow_run: FlowRun | None
    client: Any
    #: No event every three minutes that says a run lives: the worker's own heartbeat says so.
    heartbeat_seconds = None

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]  # of the engine that this is mixed into
        _engines.append(self)

    @contextmanager
    def setup_flow_run_suspension_request(self) -> Generator[Any]:
        """As Prefect's own, without an observer of its own: the worker tells."""
        assert self.flow_run is not None  # noqa: S101  (a run that started has one)
        request = self._get_flow_run_suspension_request()  # type: ignore[attr-defined]  # of the engine
        with register_flow_run_suspension_request(self.flow_run.id, request):
            request.raise_if_requested()
            yield request

    def setup_run_context(self, client: Any = None) -> Any:
        """As Prefect's own; the run that it reads once more is the one at hand, if Running was accepted just now."""
        mine = client or self.client
        if not isinstance(mine, Reader):
            # A subflow on an event loop of its own has a client of Prefect's.
            return super().setup_run_context(client)  # type: ignore[misc]  # of the engine
        mine.finish_update()
        run = self.flow_run
        fresh = noted.pop("begun", None)
        if run is not None and run.id == fresh and run.state is not None and run.state.is_running():
            mine.know(_as_running(run))
        return super().setup_run_context(client)  # type: ignore[misc]  # of the engine


class _WarmEngine(_Warm, FlowRunEngine[P, R]):
    pass


class _AsyncWarmEngine(_Warm, AsyncFlowRunEngine[P, R]):
    pass


def _as_running(run: FlowRun) -> FlowRun:
    """A run as the server has it right after it accepted Running (`SetRunStateTimestamp` and its like in the server)."""
    assert run.state is not None  # noqa: S101  (asked before)
    return run.model_copy(
        update={
            "run_count": run.run_count + 1,
            "start_time": run.start_time or run.state.timestamp,
            "next_scheduled_start_time": None,
        }
    )


def _remembered(ask: Callable[[], T]) -> Callable[[], T]:
    kept: list[tuple[float, T]] = []

    @functools.wraps(ask)
    def answer() -> T:
        if not kept or time.monotonic() - kept[0][0] > STORAGE_ANSWER:
            kept[:] = [(time.monotonic(), ask())]
        return kept[0][1]

    return answer


def _aremembered(ask: Callable[[], Coroutine[Any, Any, T]]) -> Callable[[], Coroutine[Any, Any, T]]:
    kept: list[tuple[float, T]] = []

    @functools.wraps(ask)
    async def answer() -> T:
        if not kept or time.monotonic() - kept[0][0] > STORAGE_ANSWER:
            kept[:] = [(time.monotonic(), await ask())]
        return kept[0][1]

    return answer
