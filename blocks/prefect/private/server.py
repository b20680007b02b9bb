"""What the server in infra/server needs of Prefect's private parts; its `contract.py` watches them. Nobody else imports it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from prefect._internal.schemas._registry import non_fetching_registry
from prefect._internal.uuid7 import uuid7
from prefect.server.services import task_run_recorder
from prefect.utilities.schema_tools import validation

#: Events of task runs that `finish` wrote into the tables and Prefect's recorder need not write again.
_recorded: set[str] = set()
#: So many at most are remembered: those of a recorder that is in another process are never asked for.
_LONGEST = 50_000


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


def validator_of(schema: dict[str, Any]) -> Any | None:
    """What `jsonschema.validate` makes of a schema in Prefect's own check, to be used many times; None if it is no schema."""
    prepared = validation.preprocess_schema(schema)
    try:
        validation._VALIDATOR.check_schema(prepared)
    except Exception:  # noqa: BLE001  (whatever it is: Prefect's own call says it)
        return None
    return validation._VALIDATOR(prepared, registry=non_fetching_registry())
