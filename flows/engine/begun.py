"""The beginning of an attempt: what earlier ones left in the run's labels.

Danger: a run that somebody retried in Prefect's UI is a redrive, and counts afresh.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.past import counted_deaths, death_to_count
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run_labels import (
    CRASHES,
    FIRST_FAILURE,
    FIRST_START,
    KEY,
    RETRIES,
    fresh_count,
    moment,
)
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.spent_tries import SpentTries
from redrive.blocks.process import attempt_notes
from redrive.blocks.retry_policy import effective_policy
from redrive.deployments.job_type import JobType
from redrive.flows.engine.attempt import Attempt, running
from redrive.flows.engine.origin import Origin
from redrive.flows.engine.superseded import history_of, latest_attempt, older_than


@contextmanager
def attempt_of(job: JobType) -> Iterator[Attempt | None]:
    """The attempt for the flow run that is starting here."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield None
        return
    attempt = begun(job, context.flow_run, context.parameters or {})
    with running(attempt):
        yield attempt


def begun(job: JobType, run: FlowRun, parameters: dict[str, Any]) -> Attempt:
    """The attempt that begins with this run as it is now."""
    labels = dict(run.labels)
    key = str(labels.get(KEY) or run.idempotency_key or run.id)
    # A flow called inside another one has a run but no deployment: nobody would start it again.
    can_leave = run.deployment_id is not None
    origin = Origin(queue=run.work_queue_name or "default", due=run.expected_start_time, labels=labels)
    attempt = Attempt(
        id=run.id, key=key, job=job, policy=job.policy, parameters=parameters, can_leave=can_leave, origin=origin
    )
    if not can_leave:
        return attempt
    attempt.policy = effective_policy(job.name, job.policy)
    attempt.claim = attempt_notes.attempt()
    now = str(run.state.id) if run.state is not None else None
    attempt.running = now if run.state is not None and run.state.is_running() else None
    is_first = (run.run_count or 0) <= 1
    if is_first and attempt.claim:
        return attempt
    history = history_of(run.id)
    attempt.claim = attempt.claim or latest_attempt(history, now=now)
    if is_first:
        return attempt
    attempt.before = older_than(history, attempt.claim, attempt.running, run.id)
    if death := death_to_count(history, labels, now=now):
        # Somebody pressed Retry in Prefect's UI: that is a redrive, and counts afresh.
        ask(requests.label(run.id, fresh_count(SERVER_CLOCK.now(), death=death, counted=counted_deaths(labels))))
        return attempt
    attempt.spent = SpentTries.of(labels)
    attempt.crashes = int(labels.get(CRASHES) or 0)
    attempt.retries = int(labels.get(RETRIES) or 0)
    attempt.first_failure = moment(labels.get(FIRST_FAILURE))
    attempt.first_start = moment(labels.get(FIRST_START)) or run.start_time or attempt.first_start
    return attempt
