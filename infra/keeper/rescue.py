"""Rescue: jobs whose process died, or whose worker is lost, are found and reclaimed. What becomes of each: `recovery.py`.

Danger: each decision is taken under the ledger's lock of that run, on the run as read again inside: a late crash report must not
destroy a retry that waits, and two keepers must not count one crash twice.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from redrive.blocks.core.errors import Conflict
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import Missing
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import Order, Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import CANCELLING, CRASHED, PENDING, RUNNING
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.pools import Workers, pools
from redrive.infra.keeper.causes import brief
from redrive.infra.keeper.dead_lettering import UNAVAILABLE
from redrive.infra.keeper.lost import Lost
from redrive.infra.keeper.noted_ends import NotedEnds
from redrive.infra.keeper.processes import JobProcesses
from redrive.infra.keeper.recovery import Recovery, Rescued

log = logging.getLogger("redrive.keeper")

#: A process that reported its own crash may still be on its way out.
EXIT_GRACE = timedelta(seconds=1)
#: How often a job is tried to be rescued that cannot be, for a reason nobody foresaw, before it becomes a dead letter.
RESCUE_TRIES = 3


class Rescuer:
    """Finds lost jobs and has each recovered."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._recovery = Recovery(settings, ledger)
        self._lost = Lost(settings)
        self._ends = NotedEnds(settings)
        #: Rescues of a job that failed for a reason nobody foresaw.
        self._failed: Counter[UUID] = Counter()

    def sweep(self, *, now: float) -> list[Rescued]:
        """Judge everything that is in progress; `now` is a monotonic clock in seconds."""
        began = time.monotonic()

        def answered() -> float:
            at = now + time.monotonic() - began
            self._lost.answered(now=at)
            return at

        in_progress = _all([RUNNING, PENDING, CANCELLING])
        read = answered()
        crashed = [run for run in _all([CRASHED]) if SERVER_CLOCK.has_passed(EXIT_GRACE, since=run.since)]
        # One snapshot of this machine for the whole sweep, taken after the runs were read: what it lacks had ended by then.
        processes = JobProcesses.snapshot(self._settings) if in_progress or crashed else JobProcesses({})
        answered()
        workers = Workers.read()
        self._lost.sample(in_progress, processes, workers, now=answered(), read=read, crashed=crashed)
        for run in [*in_progress, *crashed]:
            if self._lost.left_over(run, processes):
                # The next sweep finds it gone.
                processes.kill(run.id)
        suspects = [run for run in in_progress if self._lost.cause(run, processes)] + crashed
        found = {run.id for run in suspects}
        self._failed = Counter({run_id: count for run_id, count in self._failed.items() if run_id in found})
        reclaimed = []
        for run in suspects:
            if done := self._try_to_reclaim(run, processes):
                reclaimed.append(done)
            answered()
        return reclaimed

    def missed(self) -> None:
        """The API did not answer."""
        self._lost.missed()

    def _try_to_reclaim(self, run: Run, processes: JobProcesses) -> Rescued | None:
        try:
            with self._ledger.rescue_lock(run.id):
                now = runs.by_id([run.id]).get(run.id)
                if now is None or now.state_id != run.state_id:
                    return None
                if self._failed[run.id] >= RESCUE_TRIES:
                    return self._recovery.give_up(now)
                return self._reclaim(now, processes)
        except (Conflict, Missing) as error:
            # One job that somebody else decides about, or that was deleted just now, must not keep the others waiting.
            log.warning("job %s is left for the next sweep: %s", run.id, error)
        except UNAVAILABLE:
            raise
        except Exception:
            # A record that nobody foresaw must not keep the others waiting either.
            self._failed[run.id] += 1
            log.exception("job %s cannot be rescued (%d of %d)", run.id, self._failed[run.id], RESCUE_TRIES)
        return None

    def _reclaim(self, run: Run, processes: JobProcesses) -> Rescued | None:
        if run.state_type == CRASHED:
            if run.id in processes.pids:
                # Crashed by its own word, but its process lives: it could still act.
                return None
            return self._recovery.after_crash(run, f"{run.labels.worker or 'its process'}: {brief(run.message)}")
        # Judged on the run as it is now: somebody may have pressed Retry, and another worker signed for it.
        cause = self._lost.cause(run, processes)
        return None if cause is None else self._reclaim_lost(run, cause)

    def _reclaim_lost(self, run: Run, cause: str) -> Rescued | None:
        if run.state_type == CANCELLING:
            return self._recovery.finish_cancellation(run, cause)
        if run.state_type == PENDING and self._lost.is_unsigned(run):
            return self._recovery.start_again(run, cause)
        if self._ends.report(run):
            message = "its process had ended it, and died before the server's answer"
            return Rescued(run_id=run.id, job=run.job, cause=cause, again=False, message=message)
        return self._recovery.after_crash(run, cause)


def _all(types: Sequence[str]) -> list[Run]:
    return [run for page in runs.pages(Wanted(types=types, pools=pools()), Order.EXPECTED) for run in page]
