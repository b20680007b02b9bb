"""Is this the Prefect whose rules the fast calls keep? Its policies and tables, by hash of their source.

An upgrade that changes one of them switches the calls off until somebody read what changed: see the README's table.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from prefect.server.api import deployments as deployments_api
from prefect.server.database import orm_models
from prefect.server.events.schemas import events as events_schemas
from prefect.server.events.services import event_persister
from prefect.server.events.storage import database as events_storage
from prefect.server.models import events, flow_runs, logs
from prefect.server.orchestration import core_policy, global_policy, instrumentation_policies
from prefect.server.orchestration.rules import FlowOrchestrationContext
from prefect.server.schemas import core, states
from prefect.server.services import cancellation_cleanup, perpetual_services, task_run_recorder

_SOURCES: dict[str, Callable[[], Any]] = {
    "the policies for runs": lambda: [
        core_policy.CoreFlowPolicy,
        core_policy.MinimalFlowPolicy,
        *core_policy.CoreFlowPolicy.priority(),
        *global_policy.GlobalFlowPolicy.priority(),
        instrumentation_policies,
        flow_runs.set_flow_run_state,
        FlowOrchestrationContext,
    ],
    "the tables of runs": lambda: [
        orm_models.Base,
        orm_models.Run,
        orm_models.FlowRun,
        orm_models.FlowRunState,
        orm_models.TaskRun,
        orm_models.TaskRunState,
        orm_models.Artifact,
        core.FlowRunPolicy,
        core.TaskRunPolicy,
        states.StateDetails,
    ],
    "the events of runs": lambda: [
        events.flow_run_state_change_event,
        events._as_resource_data,  # noqa: SLF001  (what it watches)
        events._resource_data_as_related_resources,  # noqa: SLF001  (what it watches)
        events._provenance_as_related_resources,  # noqa: SLF001  (what it watches)
        events.state_payload,
    ],
    "the recorder of task runs": lambda: [task_run_recorder],
    "what is stored of events and logs": lambda: [
        orm_models.Event,
        orm_models.EventResource,
        orm_models.Log,
        events_schemas.ReceivedEvent,
        event_persister,
        events_storage._write_postgres_events,  # noqa: SLF001  (what it watches)
        logs.create_logs,
    ],
    "the end of a cancelled run's tasks": lambda: [
        cancellation_cleanup.cancel_child_task_runs,
        cancellation_cleanup.monitor_cancelled_flow_runs,
        perpetual_services,
    ],
    "the creation of runs": lambda: [
        flow_runs.create_flow_run,
        deployments_api.create_flow_run_from_deployment,
        deployments_api.bulk_create_flow_runs_from_deployment,
    ],
}

#: Of Prefect 3.8.8.
KNOWN = {
    "the policies for runs": "76eae35b5c6eabdc",
    "the tables of runs": "7a238f4c0c690cc3",
    "the events of runs": "1bcbf3c3eaa8c078",
    "the recorder of task runs": "a45e97a365d0eaec",
    "what is stored of events and logs": "337e4cf59b0cdb93",
    "the end of a cancelled run's tasks": "a17d788c685845a0",
    "the creation of runs": "18d7280a1e5e7b1a",
}


def found() -> dict[str, str]:
    """The hash of each part as it is installed."""
    return {
        name: hashlib.sha256("\n".join(_source(one) for one in parts()).encode()).hexdigest()[:16]
        for name, parts in _SOURCES.items()
    }


def _source(one: Any) -> str:
    """As `inspect.getsource`, which reads and parses the whole file anew for each class: a second of each start of the server."""
    if inspect.isclass(one) and (found := _classes(inspect.getsourcefile(one)).get(one.__qualname__)):
        return found
    return inspect.getsource(one)


@cache
def _classes(file: str | None) -> dict[str, str]:
    """The source of each class of a file's first level, decorators included, by name."""
    if file is None:
        return {}
    text = Path(file).read_text()
    lines = text.splitlines(keepends=True)
    return {
        node.name: "".join(
            lines[min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1 : node.end_lineno]
        )
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef)
    }


def broken() -> str | None:
    """What is not as it was read, in one sentence; None if all is."""
    try:
        now = found()
    except (AttributeError, OSError, TypeError) as error:
        return f"Prefect's source is not as it was ({error}), so runs go through its own calls"
    changed = [name for name, known in KNOWN.items() if now.get(name) != known]
    if not changed:
        return None
    return f"Prefect changed {', '.join(changed)} since the fast calls were written, so runs go through its own calls"
