"""Lost jobs: those whose process is known to be gone, or whose worker's lease is over.

Danger: a run that is called lost while it lives runs twice. What cannot be known here is waited for: at least a lease.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.run import Run
from redrive.deployments.pools import Workers
from redrive.infra.keeper.lease import HeartbeatTimer
from redrive.infra.keeper.processes import JobProcesses, state_of_worker

#: Two samples further apart than this part of a lease say nothing about silence.
LONGEST_GAP = 0.5
#: Seconds that a run must have been seen in its state before a signature on it counts that tells no attempt: right after Retry
#: was pressed in Prefect, a run still carries the name of the worker that had it before, until the next one signs.
SIGNING = 3.0
#: Heartbeats of a worker in its lease, at least.
HEARTBEATS = 3

log = logging.getLogger("redrive.keeper")


class Lost:
    """Measures silence from sample to sample and judges runs by it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known = Workers({})
        self._workers = HeartbeatTimer()
        self._stuck = HeartbeatTimer()
        self._orphans = HeartbeatTimer()
        self._helpers = HeartbeatTimer()
        self._timers = (self._workers, self._stuck, self._orphans, self._helpers)
        #: Workers whose lease was stretched, and of whom that was said.
        self._stretched: set[str] = set()

    def sample(
        self,
        in_progress: Sequence[Run],
        processes: JobProcesses,
        workers: Workers,
        *,
        now: float,
        read: float | None = None,
        crashed: Sequence[Run] = (),
    ) -> None:
        """Take in what there is.

        Args:
            now: when the workers were read, by a monotonic clock in seconds.
            read: when the runs were; None for the same moment.
        """
        read = now if read is None else read
        self._known = workers
        gap = self._settings.retry_after * LONGEST_GAP
        # A worker that Prefect no longer knows gives no sign at all, which is silence too.
        signs: dict[str, object] = {run.labels.worker: None for run in in_progress if run.labels.worker}
        self._workers.sample(signs | dict(workers.heartbeats), now=now, longest_gap=gap)
        self._stuck.sample({str(run.id): run.state_id for run in in_progress}, now=read, longest_gap=gap)
        orphans = {str(run.id): run.state_id for run in in_progress if run.id not in processes.pids}
        self._orphans.sample(orphans, now=read, longest_gap=gap)
        helpers = {str(run.id): run.state_id for run in in_progress if run.id in processes.without_leader}
        helpers |= {str(run.id): run.state_id for run in crashed if run.id in processes.pids}
        self._helpers.sample(helpers, now=read, longest_gap=gap)

    def answered(self, *, now: float) -> None:
        """The API answered; a sweep asks several times, and on a busy machine each answer takes seconds."""
        for timer in self._timers:
            timer.answered(now=now, longest_gap=self._settings.retry_after * LONGEST_GAP)

    def missed(self) -> None:
        """The API did not answer."""
        for timer in self._timers:
            timer.missed()

    def is_unsigned(self, run: Run) -> bool:
        """Whether nobody has signed for the attempt that a run is in: what else stands there is of an attempt before."""
        if run.labels.worker is None:
            return True
        # A Pending state is what begins an attempt and gives it its name.
        attempt = run.labels.attempt
        return run.state_type == "PENDING" and attempt is not None and attempt != str(run.state_id)

    def cause(self, run: Run, processes: JobProcesses) -> str | None:
        """Why a job's process is known to be gone, or its worker's lease to be over; None while neither is."""
        if not self._known.end_with_worker(run):
            return self._never_submitted(run)
        worker = run.labels.worker
        if worker is None or self.is_unsigned(run):
            return self._unsigned(run, processes)
        match state_of_worker(self._settings, worker):
            case "elsewhere":
                return self._overdue(worker)
            case _ if run.id in processes.pids:
                return None
            case "gone":
                answer = run.labels.attempt is not None or self._stuck.of(str(run.id)) >= SIGNING
                return f"worker {worker} was killed, and so was the job's process" if answer else None
            case "alive":
                return self._orphaned(run, worker) or self._overdue(worker)

    def left_over(self, run: Run, processes: JobProcesses) -> bool:
        """Whether a job has processes that nobody else is left to stop: it is to be cancelled, or only helpers that it started
        are left of it for a lease, and would hold it for ever.
        """
        if run.id not in processes.pids:
            return False
        helpers_only = self._helpers.of(str(run.id)) >= self._settings.retry_after
        if run.state_type == "CRASHED" or run.labels.worker is None:
            return helpers_only
        if state_of_worker(self._settings, run.labels.worker) != "gone":
            return False
        return run.state_type == "CANCELLING" or helpers_only

    def _overdue(self, worker: str) -> str | None:
        unanswered = self._workers.of(worker)
        return f"worker {worker} is silent for {unanswered:.0f} s" if unanswered >= self._lease_of(worker) else None

    def _lease_of(self, worker: str) -> float:
        """Seconds; stretched for a worker whose heartbeats are so far apart that fewer than three fit into it."""
        lease, least = self._settings.retry_after, HEARTBEATS * self._known.intervals.get(worker, 0)
        if lease < least and worker not in self._stretched:
            self._stretched.add(worker)
            log.warning(
                "worker %s gives a sign every %g s only, so its lease is %g s instead of REDRIVE_RETRY_AFTER=%g: "
                "lower its PREFECT_WORKER_HEARTBEAT_SECONDS",
                worker, least / HEARTBEATS, least, lease,
            )  # fmt: skip
        return max(lease, least)

    def _orphaned(self, run: Run, worker: str) -> str | None:
        """Its end could not be reported, for instance because the API was unavailable just then."""
        orphaned = self._orphans.of(str(run.id))
        if orphaned < self._settings.retry_after:
            return None
        return f"its process is gone for {orphaned:.0f} s, and worker {worker} did not report how it ended"

    def _unsigned(self, run: Run, processes: JobProcesses) -> str | None:
        """Taken by a worker that died before it could sign, or about to wait when its process died. A run that was never signed
        and is running was started without a worker, by hand: not ours to judge; but to be cancelled it would be for ever.
        """
        unanswered = self._stuck.of(str(run.id))
        cancelling = run.state_type == "CANCELLING"
        gone = (cancelling or run.labels.is_unsigned) and run.id not in processes.pids
        ours = run.state_type == "PENDING" or gone
        return (
            f"no worker signed for it in {unanswered:.0f} s"
            if ours and unanswered >= self._settings.retry_after
            else None
        )

    def _never_submitted(self, run: Run) -> str | None:
        """Where a job outlives its worker (a pod, a container), only what was never submitted is lost with it; of the rest
        Prefect's own observers tell.
        """
        unanswered, lease = self._stuck.of(str(run.id)), self._settings.retry_after
        if run.state_type != "PENDING" or run.pid is not None or unanswered < lease:
            return None
        worker = run.labels.worker
        if worker is not None and self._workers.of(worker) < lease:
            return None
        return f"worker {worker or 'of its pool'} did not submit it in {unanswered:.0f} s"
