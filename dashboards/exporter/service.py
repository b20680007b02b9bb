"""The exporter's work in the background: looks at Prefect, the ledger and the workers' reports, each at its own pace.

Danger: whatever goes wrong in one poll is told by `queue_exporter_up`, and the next poll comes; the exporter never ends for it.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from datetime import datetime

import redis

from redrive.blocks.core.duty import Duty, attend_in_turn
from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.pool_names import POOL
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.flow_names import FlowNames
from redrive.blocks.process.worker_report import WorkerReport, WorkerReports
from redrive.dashboards.exporter.depth import Depth, depths, online_workers
from redrive.dashboards.exporter.finished import Tail
from redrive.dashboards.exporter.prefect import PrefectApi
from redrive.dashboards.exporter.retrying import Retrying
from redrive.dashboards.exporter.schedules import Schedules
from redrive.dashboards.exporter.snapshot import Snapshot
from redrive.deployments.dead_letters.ledger import Ledger, Total

log = logging.getLogger("redrive.exporter")

#: Seconds after which a poll that failed is taken again, and after which counts are read again though nothing seems changed.
AGAIN = 5.0
REREAD = 60.0

#: Rounds of REDRIVE_METRICS_INTERVAL between two counts of the queues: they cost Prefect more than the finished jobs.
DEPTH_ROUNDS = 2
#: Seconds between two comparisons with Prefect, and between two readings of the schedules.
RECONCILE = 60.0
SCHEDULES = 60.0


class Exporter:
    """Keeps a snapshot fresh."""

    def __init__(self, settings: Settings, ledger: Ledger, api: PrefectApi | None = None) -> None:
        self.api = api or PrefectApi(settings)
        self._ledger = ledger
        self._counts = ledger.counts
        self._reports = WorkerReports(settings.valkey_url())
        names = FlowNames(self.api.ask)
        self._tail = Tail(self.api, self._counts, names)
        self._retrying = Retrying(self.api, self._counts, names)
        self._schedules = Schedules(self.api, names)
        #: A count that failed is repeated soon; no sooner than one that worked.
        self._again = min(AGAIN, settings.metrics_interval)
        self._migrated = False
        self._changed = True
        self._totals: tuple[Total, ...] = ()
        self._counts_read = float("-inf")
        self.snapshot = Snapshot()
        self.duties = [
            # The first two give the names that exist counts of their own, before those that only ended jobs carry.
            Duty("count jobs in queues", DEPTH_ROUNDS * settings.metrics_interval, self._sample_queues),
            Duty("read schedules", SCHEDULES, self._sample_schedules),
            Duty("count finished jobs", settings.metrics_interval, self._count),
            Duty("compare counts", RECONCILE, self._reconcile),
        ]

    def run(self, stop: threading.Event) -> None:
        """Poll when its time has come, until `stop` is set."""
        attend_in_turn(self.duties, self.attend, stop)
        self.api.close()
        self._reports.close()

    def attend(self, duty: Duty) -> None:
        """Poll once, and note whether it worked."""
        failing = dict(self.snapshot.failing)
        try:
            self._migrate()
            duty.do()
        except RedriveError as error:
            if duty.name not in failing:
                log.warning("cannot %s: %s", duty.name, error)
            failing[duty.name] = str(error)
        except Exception as error:
            # An answer nobody foresaw must not stop the other looks.
            log.exception("cannot %s; tried again in %g s", duty.name, duty.every)
            failing[duty.name] = f"{type(error).__name__}: {error}"
        else:
            if failing.pop(duty.name, None):
                log.info("can %s again", duty.name)
        duty.last = time.monotonic()
        if duty.name in failing:
            duty.last -= max(0.0, duty.every - self._again)
        self._update(failing=failing, clock_offset=self.api.offset.total_seconds())

    def _update(self, **figures: object) -> None:
        self.snapshot = replace(self.snapshot, **figures)  # type: ignore[arg-type]  # fields of Snapshot by name

    def _migrate(self) -> None:
        """As the keeper does: whoever comes first makes the tables."""
        if not self._migrated:
            self._ledger.migrate()
            self._migrated = True

    def _count(self) -> None:
        began = time.monotonic()
        if self._tail.sweep():
            self._changed = True
        self._read_ledger(began)

    def _reconcile(self) -> None:
        if missed := self._tail.reconcile():
            self._changed = True
            log.info("%d finished jobs had been committed late and are counted now", missed)

    def _read_ledger(self, began: float) -> None:
        totals, oldest = tuple(self._ledger.totals()), self._ledger.oldest_open()
        # The keeper counts as well, whenever it records one. Reading everything anew costs what there are job types.
        if self._changed or totals != self._totals or began - self._counts_read > REREAD:
            self._update(counts=self._counts.all())
            self._changed, self._totals, self._counts_read = False, totals, began
        queues = self._counts.name("queue", {*(total.queue for total in totals), *(queue for queue, _ in oldest)})
        jobs = self._counts.name("job", {job for _, job in oldest})
        oldest_dead: dict[tuple[str, str], datetime] = {}
        for (queue, job), since in oldest.items():
            kind = (queues[queue], jobs[job])
            oldest_dead[kind] = min(since, oldest_dead.get(kind, since))
        self._update(
            counted=began,
            dead=tuple(total.model_copy(update={"queue": queues[total.queue]}) for total in totals),
            oldest_dead=oldest_dead,
            duties=tuple(self._ledger.duties()),
            audit=self._ledger.audit(),
            ledger_read=time.monotonic(),
        )

    def _sample_queues(self) -> None:
        found = tuple(depths(self.api))
        self._counts.name("queue", (one.queue for one in found))
        if any(one.retrying for one in found):
            self._retrying.sample()
            self._changed = True
        self._update(
            depths=found,
            workers=tuple(online_workers(self.api)),
            reports=self._read_reports(),
            paused_since=self._paused_since(found),
            depths_read=time.monotonic(),
        )

    def _sample_schedules(self) -> None:
        self._schedules.sample()
        kinds = frozenset((kind.queue, kind.job) for kind in self._schedules.kinds.values())
        jobs = self._counts.name("job", {job for _, job in kinds})
        queues = self._counts.name("queue", {queue for queue, _ in kinds})
        missing: dict[tuple[str, str], datetime | None] = {}
        for (queue, job), since in self._schedules.due().items():
            place = (queues[queue], jobs[job])
            missing[place] = min(filter(None, (missing.get(place), since)), default=None)
        self._update(kinds=frozenset((queues[queue], jobs[job]) for queue, job in kinds), missing=missing)

    def _read_reports(self) -> tuple[WorkerReport, ...]:
        try:
            return tuple(report for report in self._reports.all() if report.pool == POOL)
        except (redis.RedisError, ValueError, TypeError, KeyError):
            # A display that is unavailable, or of a worker of another version; Prefect's own word on workers stands.
            return ()

    def _paused_since(self, found: tuple[Depth, ...]) -> dict[str, datetime]:
        """Prefect does not tell since when a queue is paused: it is since it was first seen so, kept over restarts."""
        now = self.api.now()
        since: dict[str, datetime] = {}
        for one in found:
            before = self.snapshot.paused_since.get(one.queue)
            if one.paused and before is not None:
                since[one.queue] = before
            elif one.paused:
                kept = self._counts.remember(f"paused:{one.queue}", lambda kept: kept or now.isoformat())
                since[one.queue] = datetime.fromisoformat(kept) if kept else now
            elif before is not None or self.snapshot.depths_read is None:
                self._counts.remember(f"paused:{one.queue}", lambda kept: "" if kept else kept)
        return since
