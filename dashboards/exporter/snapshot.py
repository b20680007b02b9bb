"""What the exporter knows at one moment: a frozen value that a scrape turns into text, asking nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from redrive.blocks.process.worker_report import WorkerReport
from redrive.dashboards.exporter.depth import Depth
from redrive.deployments.dead_letters.ledger import Audit, DutyState, Total
from redrive.deployments.dead_letters.ledger.finishes import Key


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Figures with the monotonic time (seconds) of the look they come from; None for one that was never taken."""

    #: Finished jobs, from the ledger's database.
    counts: Mapping[Key, float] = field(default_factory=dict)
    #: Begin of the last sweep that saw every finished job.
    counted: float | None = None
    dead: tuple[Total, ...] = ()
    #: By queue and job type.
    oldest_dead: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    #: The keeper's duties, with their ages when the ledger was read.
    duties: tuple[DutyState, ...] = ()
    audit: Audit = field(default_factory=Audit)
    ledger_read: float | None = None
    depths: tuple[Depth, ...] = ()
    depths_read: float | None = None
    #: Names of workers that Prefect calls online.
    workers: tuple[str, ...] = ()
    reports: tuple[WorkerReport, ...] = ()
    #: By queue: since when it is paused.
    paused_since: Mapping[str, datetime] = field(default_factory=dict)
    #: Job types with the queue they start in, so that a counter is 0 before it is 1.
    kinds: frozenset[tuple[str, str]] = frozenset()
    #: By queue and job type with an active schedule: since when a run is missing.
    missing: Mapping[tuple[str, str], datetime | None] = field(default_factory=dict)
    #: Names of duties whose last attempt failed, with why.
    failing: Mapping[str, str] = field(default_factory=dict)
    #: Seconds that the server's clock is ahead of ours.
    clock_offset: float = 0.0
