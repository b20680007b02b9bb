"""Jobs that exist: listing, showing, cancelling them, and trying now what waits for its next try.

Danger: a job is a Prefect flow run; everything here asks the API, nothing is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.client.schemas.filters import FlowFilter, FlowRunFilter, WorkPoolFilter, WorkQueueFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Cancelled, Cancelling, Scheduled

from redrive.blocks.errors import Conflict, NotFound, ParameterError
from redrive.blocks.masking import mask
from redrive.blocks.prefect_api import api, reachable
from redrive.deployments.failure_report import reports_of
from redrive.deployments.job_type import QUEUES
from redrive.deployments.run_labels import CRASHES, DEAD_LETTER, REPLACED_BY, REPLACES, TRIES

#: Prefect's own limit of runs a call.
PAGE = 200
#: Shortest beginning of an id that names a job.
PREFIX_LENGTH = 8
#: How many of the latest runs are searched for a job by name or by the beginning of its id.
SEARCHED = 2000

#: What people call a job's states, and Prefect's types and names behind them.
STATES: dict[str, dict[str, list[str]]] = {
    "waiting": {"name": ["Scheduled", "Late"]},
    "retrying": {"name": ["AwaitingRetry"]},
    "starting": {"type": ["PENDING"]},
    "running": {"type": ["RUNNING"]},
    "completed": {"type": ["COMPLETED"]},
    "dead": {"type": ["FAILED"]},
    "crashed": {"type": ["CRASHED"]},
    "cancelled": {"type": ["CANCELLED", "CANCELLING"]},
    "suspended": {"type": ["PAUSED"]},
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as people see it. Times are UTC; `seconds` is what its attempts ran together."""

    id: UUID
    name: str
    job: str
    queue: str | None
    state: str
    message: str | None
    due: datetime | None
    started: datetime | None
    ended: datetime | None
    seconds: float
    tries: int
    crashes: int
    key: str | None
    worker: str | None
    parameters: dict[str, Any]
    #: Since when it is in its state.
    since: datetime | None = None
    #: Why it is dead, as the job itself said.
    error: str | None = None
    #: The job that runs instead of this dead one, and the dead one that this one runs instead of.
    replaced_by: UUID | None = None
    replaces: UUID | None = None

    @classmethod
    def of(cls, run: FlowRun, job: str, error: str | None = None) -> Job:
        """Of a flow run; secrets in its parameters are masked."""
        state = run.state
        due = state.state_details.scheduled_time if state and state.is_scheduled() else run.expected_start_time
        return cls(
            id=run.id,
            name=run.name,
            job=job,
            queue=run.work_queue_name,
            state=state.name if state and state.name else "unknown",
            message=state.message if state else None,
            due=due,
            started=run.start_time,
            ended=run.end_time,
            seconds=run.total_run_time.total_seconds(),
            tries=int(run.labels.get(TRIES) or 0),
            crashes=int(run.labels.get(CRASHES) or 0),
            key=run.idempotency_key,
            worker=str(run.labels.get("prefect.worker.name") or "") or None,
            parameters=mask(run.parameters),
            since=state.timestamp if state else None,
            error=error,
            replaced_by=_linked(run, REPLACED_BY) if state is not None and state.is_failed() else None,
            replaces=_linked(run, REPLACES),
        )


def list_jobs(
    *, state: str | None = None, job: str | None = None, queue: str | None = None, limit: int = 50
) -> list[Job]:
    """Jobs, the latest first; housekeeping runs are left out.

    Args:
        state: one of `STATES`. job: name of the job type. queue: name of the queue. limit: 1 to 2000.

    Raises:
        ParameterError: no such state or queue. ApiUnavailable.
    """
    if state is not None and state not in STATES:
        raise ParameterError(f"there is no state {state!r}; give one of {', '.join(STATES)}")
    if queue is not None and queue not in QUEUES:
        raise ParameterError(f"there is no queue {queue!r}; give one of {', '.join(QUEUES)}")
    wanted: dict[str, Any] = {}
    if state is not None:
        wanted["state"] = {kind: {"any_": values} for kind, values in STATES[state].items()}
    found: list[FlowRun] = []
    with reachable():
        while len(found) < min(limit, SEARCHED):
            page = api().read_flow_runs(
                flow_run_filter=FlowRunFilter.model_validate(wanted) if wanted else None,
                flow_filter=FlowFilter.model_validate({"name": {"any_": [job]}}) if job else None,
                work_queue_filter=WorkQueueFilter.model_validate({"name": {"any_": [queue]}}) if queue else None,
                work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": ["jobs"]}}),
                sort=FlowRunSort.EXPECTED_START_TIME_DESC,
                limit=min(PAGE, limit - len(found)),
                offset=len(found),
            )
            found += page
            if len(page) < PAGE:
                break
        return [Job.of(run, name) for run, name in _named(found)]


def find_job(reference: str | UUID) -> FlowRun:
    """The flow run of an id, of the beginning of one (8 characters or more), or of a run's name.

    Raises:
        NotFound: none. Conflict: several.
    """
    with reachable():
        try:
            return api().read_flow_run(UUID(str(reference)))
        except ValueError:
            pass
        except ObjectNotFound:
            raise NotFound(f"there is no job {reference}; `redrive jobs list` shows what there is") from None
        named = api().read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate({"name": {"any_": [str(reference)]}}), limit=2
        )
        found = named or _by_prefix(str(reference))
        if not found:
            raise NotFound(f"no job's id or name is {str(reference)!r}; `redrive jobs list` shows what there is")
        if len(found) > 1:
            raise Conflict(
                f"{str(reference)!r} names {len(found)} jobs: {', '.join(str(run.id) for run in found)}; give more of the id"
            )
        return found[0]


def show_job(reference: str | UUID) -> tuple[Job, list[State[Any]]]:
    """A job and its state history, the oldest first."""
    run = find_job(reference)
    with reachable():
        ((_, name),) = _named([run])
        history = api().read_flow_run_states(run.id)
        report = reports_of([run.id]).get(run.id) if run.state is not None and run.state.is_failed() else None
        error = f"{report.error_type}: {report.message}" if report else None
        return Job.of(run, name, error), sorted(
            history, key=lambda state: state.timestamp or datetime.min.replace(tzinfo=UTC)
        )


def cancel_job(reference: str | UUID) -> Job:
    """Cancel a job: at once if it waits, within seconds if it runs.

    Raises:
        NotFound. Conflict: it has ended already.
    """
    run = find_job(reference)
    state = run.state
    if state is not None and state.is_final():
        raise Conflict(f"job {run.name} ({run.id}) has ended already: {state.name}")
    with reachable():
        running = state is not None and state.type in {StateType.RUNNING, StateType.PENDING} and run.infrastructure_pid
        # Only a process has to be asked to stop; what waits has none and would stay Cancelling for minutes.
        wanted: State[Any] = (
            Cancelling(message="cancelled by an operator")
            if running
            else Cancelled(message="cancelled by an operator before it ran")
        )
        result = api().set_flow_run_state(run.id, wanted)
        if result.status.value != "ACCEPT":
            raise Conflict(
                f"job {run.name} ({run.id}) could not be cancelled: {getattr(result.details, 'reason', result.status.value)}"
            )
        run = api().read_flow_run(run.id)
        ((_, name),) = _named([run])
        return Job.of(run, name)


def retry_now(reference: str | UUID, *, who: str) -> Job:
    """Start a job's next try now instead of when its backoff is over; the tries it spent stay spent.

    Raises:
        NotFound. Conflict: it does not wait; a dead one is for `redrive dead redrive`.
    """
    run = find_job(reference)
    state = run.state
    if state is None or not state.is_scheduled():
        said = state.name if state else "unknown"
        hint = f"; run it again with `redrive dead redrive {run.id}`" if said == DEAD_LETTER else ""
        raise Conflict(f"job {run.name} ({run.id}) does not wait for a try, it is {said}{hint}")
    with reachable():
        kind = AwaitingRetry if state.name == "AwaitingRetry" else Scheduled
        message = f"next try now, asked for by {who}"
        soon: State[Any] = kind(scheduled_time=datetime.now(UTC), message=message)
        result = api().set_flow_run_state(run.id, soon)
        if result.status.value != "ACCEPT":
            raise Conflict(f"job {run.name} ({run.id}) could not be started now: {result.status.value}")
        run = api().read_flow_run(run.id)
        ((_, name),) = _named([run])
        return Job.of(run, name)


def _linked(run: FlowRun, label: str) -> UUID | None:
    return UUID(str(run.labels[label])) if run.labels.get(label) else None


def _named(runs: list[FlowRun]) -> list[tuple[FlowRun, str]]:
    """Each run with the name of its job type."""
    wanted = sorted({str(run.flow_id) for run in runs})
    names: dict[UUID, str] = {}
    if wanted:
        flows = api().read_flows(flow_filter=FlowFilter.model_validate({"id": {"any_": wanted}}), limit=PAGE)
        names = {flow.id: flow.name for flow in flows}
    return [(run, names.get(run.flow_id, "unknown")) for run in runs]


def _by_prefix(prefix: str) -> list[FlowRun]:
    if len(prefix) < PREFIX_LENGTH:
        return []
    matches: list[FlowRun] = []
    for offset in range(0, SEARCHED, PAGE):
        page = api().read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=PAGE, offset=offset)
        matches += [run for run in page if str(run.id).startswith(prefix.lower())]
        if len(page) < PAGE:
            break
    return matches
