"""What a child sends beside the states of its run: events of task runs, log lines, the engine's first update of the run."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.context import FlowRunContext, TaskRunContext
from prefect.events.clients import PrefectEventsClient
from prefect.events.schemas.events import Event
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker, set_api_log_sink
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY, PREFECT_API_URL

from redrive.blocks.prefect.private.begun import present

#: Seconds a child that ends waits for its last log lines and task runs to be taken.
LAST_LINES = 10.0


def send_event(event: Any) -> None:
    """Send an event by this process's own service: one that names its related resources, so that no others are added.

    The service adds those of the run in whose context it is asked. Where there is none, as in the thread of a timer, it would take the
    run in whose context the service itself began, which is the first of a process that runs many.
    """
    none = contextvars.copy_context()
    none.run(FlowRunContext.__var__.set, None)  # type: ignore[arg-type]  # None is what `get` gives where there is none
    none.run(TaskRunContext.__var__.set, None)  # type: ignore[arg-type]  # as above
    none.run(EventsWorker.instance().send, event if isinstance(event, Event) else Event.model_validate(event))


def send_update(run_id: UUID, fields: dict[str, Any]) -> None:
    with SyncPrefectClient(
        PREFECT_API_URL.value(), auth_string=PREFECT_API_AUTH_STRING.value(), api_key=PREFECT_API_KEY.value()
    ) as client:
        client.update_flow_run(run_id, **fields)


def kept_or_sent(send: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    @functools.wraps(send)
    async def emit(self: PrefectEventsClient, event: Any) -> None:
        if not any(begun.keep_event(event) for begun in present):
            await send(self, event)

    return emit


def send_logs_by(sink: Callable[[dict[str, Any]], None] | None) -> None:
    """Give log lines for the API to somebody else; None sends them from this process."""
    set_api_log_sink(sink)


def send_log(line: dict[str, Any]) -> None:
    """Queue a log line in this process, whoever gets the others."""
    APILogWorker.instance().send(line)


def flush() -> None:
    """Send what is queued of logs and task runs. Once, as the last thing of a process: the services end with it."""
    for service in (APILogWorker, EventsWorker):
        service.drain_all(timeout=LAST_LINES)
