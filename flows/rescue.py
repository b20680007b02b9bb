"""Rescue: jobs whose process died, or whose worker is lost, are taken back and started again, or buried by the crash budget.

Danger: `set_state` has no compare-and-set. Each decision is taken under the ledger's lock of that run and after reading its
state again: a late crash report must not destroy a retry that waits, and two keepers must not count one crash twice.
"""

from __future__ import annotations

import logging
import random
import re
import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed

from redrive.blocks.errors import Conflict
from redrive.blocks.prefect_api import api
from redrive.blocks.retry import RetryPolicy
from redrive.blocks.retry_block import effective_policy
from redrive.blocks.settings import Settings
from redrive.blocks.step_deadline import HARD_TIMEOUT
from redrive.deployments.catalog import catalog
from redrive.deployments.ledger import Ledger
from redrive.deployments.run_labels import (
    CRASH_COUNTED,
    CRASHES,
    DEAD_LETTER,
    FIRST_FAILURE,
    FIRST_START,
    RESCUES,
    RETRIES,
    TRIES,
    moment,
)
from redrive.deployments.run_state import set_state, start_again
from redrive.flows.decision import Bury, after_crash, after_failure
from redrive.flows.keeper.lease import Silence
from redrive.flows.keeper.processes import JobProcesses, fate_of_worker
from redrive.flows.keeper.runs import OPS, Run, by_id, pages

log = logging.getLogger("redrive.keeper")

#: A process that reported its own crash may still be on its way out.
LAST_BREATH = timedelta(seconds=1)
#: Two looks further apart than this part of a lease say nothing about silence.
LONGEST_GAP = 0.5

#: A job whose policy nobody here knows is not started again: it may not bear that.
UNKNOWN = RetryPolicy(max_tries=1, max_crashes=0)


@dataclass(frozen=True, kw_only=True)
class Rescued:
    """What a rescue did: `again` if the job starts again, else it was buried or its cancellation finished."""

    run_id: UUID
    job: str
    cause: str
    again: bool
    message: str


class Rescuer:
    """Finds lost jobs and decides what becomes of them."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._workers = Silence()
        self._stuck = Silence()
        self._orphans = Silence()

    def sweep(self, *, now: float) -> list[Rescued]:
        """Look at everything that is under way; `now` is a monotonic clock in seconds."""
        lease = self._settings.retry_after
        under_way = [run for page in pages(types=["RUNNING", "PENDING", "CANCELLING"]) for run in page]
        # A worker that Prefect no longer knows gives no sign at all, which is silence too.
        signs: dict[str, object] = {run.worker: None for run in under_way if run.worker}
        self._workers.look(signs | _heartbeats(), now=now, longest_gap=lease * LONGEST_GAP)
        self._stuck.look({str(run.id): run.state_id for run in under_way}, now=now, longest_gap=lease * LONGEST_GAP)
        processes = JobProcesses.look(self._settings) if under_way else JobProcesses({})
        orphans = {str(run.id): run.state_id for run in under_way if run.id not in processes.pids}
        self._orphans.look(orphans, now=now, longest_gap=lease * LONGEST_GAP)
        lost = [(run, cause) for run in under_way if (cause := self._lost(run, processes))]
        crashed = [
            (run, f"{run.worker or 'its process'}: {_brief(run.message)}")
            for page in pages(types=["CRASHED"])
            for run in page
            if datetime.now(UTC) - run.since > LAST_BREATH
        ]
        return [done for run, cause in [*lost, *crashed] if (done := self._try_to_take_back(run, cause))]

    def missed(self) -> None:
        """The API did not answer."""
        self._workers.missed()
        self._stuck.missed()
        self._orphans.missed()

    def unstrand(self) -> list[UUID]:
        """Free waiting retries that no worker would ever take, because Prefect left them marked for a process that is gone."""
        freed = []
        for page in pages(types=["SCHEDULED"], names=["AwaitingRetry", "Retrying"]):
            for run in page:
                if run.retry_type == "in_process":
                    path = {"id": run.id}
                    policy = {"empirical_policy": {"retry_type": "reschedule"}}
                    api().request("PATCH", "/flow_runs/{id}", path_params=path, json=policy)
                    freed.append(run.id)
        return freed

    def _lost(self, run: Run, processes: JobProcesses) -> str | None:
        """Why a job's process is known to be gone, or its worker's lease to be over; None while neither is."""
        lease = self._settings.retry_after
        if run.worker is None:
            # Taken by a worker that died before it could sign, or about to wait when its process died. A run that was
            # never signed and is running was started without a worker, by hand: not ours to judge.
            silent = self._stuck.of(str(run.id))
            ours = run.state_type == "PENDING" or (run.is_unsigned and run.id not in processes.pids)
            return f"no worker signed for it in {silent:.0f} s" if ours and silent >= lease else None
        fate = fate_of_worker(self._settings, run.worker)
        silent = self._workers.of(run.worker)
        if fate == "elsewhere":
            return f"worker {run.worker} is silent for {silent:.0f} s" if silent >= lease else None
        if run.id in processes.pids:
            if run.state_type == "CANCELLING" and fate == "gone":
                # Nobody else is left to stop it; the next sweep finds it gone.
                processes.kill(run.id)
            return None
        if fate == "gone":
            return f"worker {run.worker} was killed, and so was the job's process"
        orphaned = self._orphans.of(str(run.id))
        if orphaned >= lease:
            # Its end could not be reported, for instance because the API was away just then.
            return f"its process is gone for {orphaned:.0f} s, and worker {run.worker} did not report how it ended"
        return f"worker {run.worker} is silent for {silent:.0f} s" if silent >= lease else None

    def _try_to_take_back(self, run: Run, cause: str) -> Rescued | None:
        try:
            return self._take_back(run, cause)
        except (Conflict, ObjectNotFound) as error:
            # One job that somebody else decides about, or that was deleted just now, must not keep the others waiting.
            log.warning("job %s is left for the next look: %s", run.id, error)
            return None

    def _take_back(self, run: Run, cause: str) -> Rescued | None:
        with self._ledger.rescue_lock(run.id):
            now = by_id([run.id]).get(run.id)
            if now is None or now.state_id != run.state_id:
                return None
            if run.state_type == "CANCELLING":
                set_state(run.id, Cancelled(message=f"cancelled by an operator; {cause}"), force=True)
                return Rescued(
                    run_id=run.id, job=run.job, cause=cause, again=False, message="its cancellation is finished"
                )
            if run.id in JobProcesses.look(self._settings).pids:
                # Crashed by its own word, but its process lives: it could still act.
                return None
            if run.state_type == "PENDING" and run.worker is None:
                set_state(run.id, Crashed(message=f"taken back: {cause}"), force=True)
                api().update_flow_run_labels(run.id, {RESCUES: now.spent.rescues + 1})
                start_again(run.id, at=datetime.now(UTC), message=f"starts again: {cause}", retrying=True)
                return Rescued(run_id=run.id, job=run.job, cause=cause, again=True, message="it never started")
            return self._after_crash(now, cause)

    def _after_crash(self, run: Run, cause: str) -> Rescued:
        if spent := run.labels.get(HARD_TIMEOUT):
            return self._after_timeout(run, cause, tries=int(spent))
        counted = run.labels.get(CRASH_COUNTED) == str(run.state_id)
        crashes = run.crashes if counted else run.crashes + 1
        decision = after_crash(_policy(run.job), crashes=crashes, cause=cause, now=datetime.now(UTC))
        crashed = run.state_id
        if run.state_type != "CRASHED":
            set_state(run.id, Crashed(message=f"rescued: {cause}"), force=True)
            crashed = by_id([run.id])[run.id].state_id
        again = not isinstance(decision, Bury)
        rescues = run.spent.rescues + (1 if again and not counted else 0)
        api().update_flow_run_labels(run.id, {CRASHES: crashes, CRASH_COUNTED: str(crashed), RESCUES: rescues})
        if isinstance(decision, Bury):
            set_state(run.id, State(type=StateType.FAILED, name=DEAD_LETTER, message=decision.message), force=True)
        else:
            start_again(run.id, at=decision.at, message=decision.message, retrying=True)
        return Rescued(run_id=run.id, job=run.job, cause=cause, again=again, message=decision.message)

    def _after_timeout(self, run: Run, cause: str, *, tries: int) -> Rescued:
        """A step outlived its timeout and its process was killed for it: a failed try, not a crash."""
        first_start = moment(run.labels.get(FIRST_START)) or datetime.now(UTC)
        decision = after_failure(
            _policy(run.job),
            error=TimeoutError(cause),
            tries=tries,
            first_start=first_start,
            now=datetime.now(UTC),
            draw=random.random(),  # noqa: S311  (jitter)
        )
        failed = moment(run.labels.get(FIRST_FAILURE)) or datetime.now(UTC)
        again = not isinstance(decision, Bury)
        # Of the tries since the last label all were followed by another one, but for the last one of a job that is buried.
        retries = run.spent.retries + max(0, tries - run.tries) - (0 if again else 1)
        labels: dict[str, Any] = {
            HARD_TIMEOUT: 0,
            TRIES: tries,
            RETRIES: max(0, retries),
            FIRST_FAILURE: failed.isoformat(),
        }
        api().update_flow_run_labels(run.id, labels)
        message = f"{decision.message}: {cause}"
        if isinstance(decision, Bury):
            set_state(run.id, State(type=StateType.FAILED, name=DEAD_LETTER, message=message), force=True)
        else:
            start_again(run.id, at=decision.at, message=message, retrying=True)
        return Rescued(run_id=run.id, job=run.job, cause=cause, again=again, message=decision.message)


def _brief(message: str) -> str:
    """What Prefect says of a crash without what it explains each time: `killed by SIGKILL`, `exit code 3`."""
    if status := re.search(r"exited with status code: (-?\d+)", message):
        code = int(status[1])
        try:
            return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        except ValueError:
            return f"killed by signal {-code}"
    return message or "crashed"


def _policy(job: str) -> RetryPolicy:
    known = catalog().get(job)
    return effective_policy(job, known.policy) if known else UNKNOWN


def _heartbeats() -> dict[str, object]:
    """The last heartbeat of every worker of every pool that runs jobs."""
    pools = api().request("POST", "/work_pools/filter", json={}).json()
    found: dict[str, object] = {}
    for pool in pools:
        if pool["name"] != OPS:
            path = {"work_pool_name": pool["name"]}
            answer = api().request("POST", "/work_pools/{work_pool_name}/workers/filter", path_params=path, json={})
            found |= {worker["name"]: worker.get("last_heartbeat_time") for worker in answer.json()}
    return found
