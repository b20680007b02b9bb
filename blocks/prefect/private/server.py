"""What the server in infra/server needs of Prefect's private parts; its `contract.py` watches them. Nobody else imports it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pendulum
import sqlalchemy as sa
from docket import CurrentDocket, Depends, Docket, Perpetual
from prefect._internal.schemas._registry import non_fetching_registry
from prefect._internal.uuid7 import uuid7
from prefect.server.database import PrefectDBInterface, provide_database_interface
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.events.services import event_persister
from prefect.server.models import logs
from prefect.server.schemas.states import StateType
from prefect.server.services import cancellation_cleanup, perpetual_services, task_run_recorder
from prefect.settings import get_current_settings
from prefect.utilities.schema_tools import validation

#: Events of task runs that `finish` wrote into the tables and Prefect's recorder need not write again.
_recorded: set[str] = set()
#: So many at most are remembered: those of a recorder that is in another process are never asked for.
_LONGEST = 50_000
#: Events that are remembered as they were parsed, until all who read them have.
_EVENTS = 1_000


def new_id() -> UUID:
    """An id for a state, ordered by time as Prefect's own."""
    return uuid7()


def note_recorded(ids: list[str]) -> None:
    """The task-run events with these ids are in the tables."""
    if len(_recorded) > _LONGEST:
        _recorded.clear()
    _recorded.update(ids)


def skip_what_is_recorded() -> None:
    """Keep from Prefect's recorder of task runs what is none, and what `finish` recorded; before the server starts."""
    theirs = task_run_recorder.consumer

    @asynccontextmanager
    async def consumer(**options: Any) -> AsyncIterator[Any]:
        async with theirs(**options) as handle:

            async def handle_new(message: Any) -> None:
                attributes = message.attributes or {}
                if not attributes.get("event", "prefect.task-run").startswith("prefect.task-run"):
                    return
                if attributes.get("id") in _recorded:
                    _recorded.discard(attributes["id"])
                    return
                await handle(message)

            yield handle_new

    task_run_recorder.consumer = consumer  # type: ignore[assignment]  # its options are passed on as they are


def handle_events_cheaply() -> None:
    """Save half of what the server does for each event; before it starts.

    Four services read each message, and each parses it. And the driver of PostgreSQL subtracts dates, which pendulum answers with an
    interval that knows months and years; with Python 3.13 Prefect has no pendulum, and the answer is a plain timedelta.
    """
    parse: Any = ReceivedEvent.model_validate_json
    known: OrderedDict[str | bytes, ReceivedEvent] = OrderedDict()

    def parse_once(data: str | bytes, **options: Any) -> ReceivedEvent:
        if options:
            return cast("ReceivedEvent", parse(data, **options))
        if (event := known.get(data)) is None:
            event = known[data] = parse(data)
            if len(known) > _EVENTS:
                known.popitem(last=False)
        return event

    ReceivedEvent.model_validate_json = parse_once  # type: ignore[method-assign,assignment]  # the point of it
    subtract: Any = pendulum.DateTime.__sub__

    def subtract_plainly(self: pendulum.DateTime, other: Any) -> Any:
        return datetime.__sub__(self, other) if type(other) is datetime else subtract(self, other)

    pendulum.DateTime.__sub__ = subtract_plainly  # type: ignore[method-assign]  # as above


def end_tasks_of_cancelled_runs() -> None:
    """Have Prefect's service for that look at those that have any; before the server starts.

    Its own looks, every twenty seconds, at each run that was cancelled within a day, one by one: so many cancelled jobs, a few of which
    had begun, cost a core for that day.
    """
    theirs = cancellation_cleanup.monitor_cancelled_flow_runs
    for service in perpetual_services._PERPETUAL_SERVICES:
        if service.function is theirs:
            service.function = monitor_cancelled_flow_runs


_OFTEN = Perpetual(
    automatic=True, every=timedelta(seconds=get_current_settings().server.services.cancellation_cleanup.loop_seconds)
)


async def monitor_cancelled_flow_runs(
    docket: Docket = CurrentDocket(),  # noqa: B008  (how a service of docket gets what it needs)
    db: PrefectDBInterface = Depends(provide_database_interface),  # noqa: B008  (as above)
    perpetual: Perpetual = _OFTEN,  # noqa: ARG001  (as above)
) -> None:
    """As `cancellation_cleanup.monitor_cancelled_flow_runs`, of which it must have the name, for runs with a task that has not ended."""
    run, task = db.FlowRun, db.TaskRun
    goes_on = sa.exists().where(
        task.flow_run_id == run.id, task.state_type.in_(cancellation_cleanup.NON_TERMINAL_STATES)
    )
    cancelled = sa.and_(run.state_type == StateType.CANCELLED, run.end_time >= sa.func.now() - timedelta(days=1))
    async with db.session_context() as session:
        found = (await session.execute(sa.select(run.id).where(cancelled, goes_on))).scalars().all()
    for run_id in found:
        await docket.add(cancellation_cleanup.cancel_child_task_runs, key=f"cancel-child-task-runs:{run_id}")(run_id)


def store_by(replace: Callable[[Callable[..., Any], Callable[..., Any]], tuple[Any, Any]]) -> None:
    """Have events and log lines written by others; before the server starts.

    Args:
        replace: what writes them instead, given what did: `write_events` and `create_logs`.
    """
    persister: Any = event_persister
    persister.write_events, logs.create_logs = replace(persister.write_events, logs.create_logs)


def validator_of(schema: dict[str, Any]) -> Any | None:
    """What `jsonschema.validate` makes of a schema in Prefect's own check, to be used many times; None if it is no schema."""
    prepared = validation.preprocess_schema(schema)
    try:
        validation._VALIDATOR.check_schema(prepared)
    except Exception:  # noqa: BLE001  (whatever it is: Prefect's own call says it)
        return None
    return validation._VALIDATOR(prepared, registry=non_fetching_registry())
