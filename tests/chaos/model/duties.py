"""The keeper's duties by name, done one at a time when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from redrive.blocks.core.settings import Settings
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.flows.prune import prune_ledger, prune_runs
from redrive.infra.keeper.auditing import Auditor
from redrive.infra.keeper.collecting import Collector
from redrive.infra.keeper.postponed import Postponed
from redrive.infra.keeper.rescue import Rescuer
from redrive.infra.keeper.resolving import Resolver
from redrive.infra.keeper.stranded import Stranded


class Duties:
    """One keeper."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        collector, resolver, rescuer = Collector(ledger), Resolver(ledger), Rescuer(settings, ledger)
        auditor, stranded, postponed = Auditor(ledger), Stranded(), Postponed()
        self._duties: dict[str, Callable[[float], object]] = {
            "rescue": lambda now: rescuer.sweep(now=now),
            "collect": lambda _: collector.sweep(),
            "collect widely": lambda _: collector.sweep(wide=True),
            "resolve": lambda _: resolver.sweep(),
            "unstrand": lambda _: stranded.sweep(),
            "bring forward": lambda _: postponed.sweep(),
            "audit": lambda _: auditor.sweep(),
        }

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._duties)

    def do(self, duty: str, *, now: float) -> None:
        self._duties[duty](now)

    def prune(self, before: datetime) -> None:
        prune_ledger.fn(before)
        prune_runs.fn(before)
