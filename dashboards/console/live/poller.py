"""The one poller of the process: it samples for all browsers together, in its turn of the refresher, and only while somebody looks.

Danger: what it cannot read is missing in its picture and is named there; a part that was read before stays, with its time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.patience import patient
from redrive.blocks.core.settings import Settings
from redrive.blocks.prefect.client import reachable
from redrive.blocks.process.job_figures import JobFigures
from redrive.dashboards.alerts.breaches import Breach, breaches
from redrive.dashboards.console.live.alerts import thresholds
from redrive.dashboards.console.live.picture import Books, Picture
from redrive.dashboards.console.live.refresher import PATIENCE, Refresher
from redrive.dashboards.console.live.sample import Sampler
from redrive.deployments.dead_letters.ledger import Filter, Ledger
from redrive.deployments.people.people import People, about_queue

log = logging.getLogger("redrive.console")

#: Seconds that somebody who looked counts as looking on: a page between two loads, a stream that connects again.
LINGER: Final = 15.0
#: Seconds after which a picture is too old to begin with.
OLD: Final = 10.0
#: Seconds between two looks at the budgets of job types.
BUDGETS: Final = 30.0
#: Causes that the overview shows.
CAUSES: Final = 5


class Poller:
    """Keeps the picture fresh while somebody looks; `on_change` is called from its thread."""

    def __init__(self, settings: Settings, ledger: Ledger, people: People, refresher: Refresher) -> None:
        self._settings = settings
        self._ledger = ledger
        self._people = people
        self._refresher = refresher
        self._sampler = Sampler(settings)
        self._figures = JobFigures(settings.valkey_url())
        # Kept, as making one reads all certificates that this machine trusts.
        self._exporter = httpx.Client(trust_env=False, timeout=1.0)
        self._sampling = threading.Lock()
        self._until = 0.0
        self._fresh = threading.Lock()
        self.picture = Picture()
        self.on_change: Callable[[], None] = lambda: None
        #: Told of each part that cannot be read.
        self.on_missing: Callable[[str, Exception], None] = lambda *_: None
        self._budgets_read = float("-inf")

    def close(self) -> None:
        self._sampler.close()
        self._figures.close()
        self._exporter.close()

    def poll(self) -> None:
        """Somebody looks now."""
        self._until = time.monotonic() + LINGER
        self._refresher.want("sample", self._turn, serves_many=True)

    def fresh(self) -> Picture:
        """The picture, after a first sample if there is none that is fresh enough."""
        self.poll()
        if self._is_old():
            with self._sampling:
                if self._is_old():
                    self._poll()
        return self.picture

    def paused(self, name: str, *, paused: bool) -> None:
        """Somebody paused or resumed a queue here: shown at once, at no call of the API."""
        with self._fresh:
            sample = self.picture.sample
            if sample is not None:
                queues = tuple(replace(one, paused=paused) if one.name == name else one for one in sample.queues)
                self.picture = replace(self.picture, sample=replace(sample, queues=queues))
            now = self._with_books(self.picture)
            self.picture = replace(now, number=now.number + 1)
        self.on_change()

    def _is_old(self) -> bool:
        at = self.picture.at
        return at is None or (datetime.now(UTC) - at).total_seconds() > OLD

    def _turn(self) -> None:
        with self._sampling:
            self._poll()
        if time.monotonic() < self._until:
            self._refresher.want("sample", self._turn, serves_many=True)

    def _poll(self) -> None:
        before = self.picture
        sample, missing = before.sample, dict(before.gaps)
        try:
            with reachable(PATIENCE):
                sample = self._sampler.take()
            missing.pop("prefect", None)
        except (RedriveError, httpx.HTTPError, KeyError, ValueError) as error:
            _note(missing, "prefect", error)
            self.on_missing("prefect", error)
        now = replace(before, number=before.number + 1, at=datetime.now(UTC), sample=sample, missing=missing)
        now = self._with_books(now)
        now = self._with_exporter(now)
        with self._fresh:
            self.picture = now
        self.on_change()

    def _with_books(self, now: Picture) -> Picture:
        missing = dict(now.gaps)
        books = now.books
        try:
            with patient(PATIENCE):
                queues = [about_queue(one.name) for one in now.sample.queues if one.paused] if now.sample else []
                books = Books(
                    at=datetime.now(UTC),
                    totals=tuple(self._ledger.totals()),
                    groups=tuple(group.masked() for group in self._ledger.groups(Filter(status="open"), limit=CAUSES)),
                    duties=tuple(self._ledger.duties()),
                    audit=self._ledger.audit(),
                    pauses=self._people.latest(queues),
                    oldest=self._ledger.oldest_open(),
                    breaches=self._breaches(books),
                )
            missing.pop("ledger", None)
        except RedriveError as error:
            _note(missing, "ledger", error)
            self.on_missing("ledger", error)
        return replace(now, books=books, missing=missing, number=now.number)

    def _breaches(self, before: Books | None) -> tuple[Breach, ...]:
        """Budgets are of an hour or a day: they need not be looked at in every sample."""
        if before is not None and time.monotonic() - self._budgets_read < BUDGETS:
            return before.breaches
        self._budgets_read = time.monotonic()
        return tuple(breaches(self._ledger.counts, thresholds(), datetime.now(UTC), self._figures))

    def _with_exporter(self, now: Picture) -> Picture:
        host = self._settings.host if self._settings.host != "0.0.0.0" else "127.0.0.1"  # noqa: S104  (compared with)
        missing = dict(now.gaps)
        message: str | None = None
        try:
            answer = self._exporter.get(f"http://{host}:{self._settings.metrics_port}/health")
            message = answer.text.strip()
            if answer.is_success:
                missing.pop("exporter", None)
            else:
                _note(missing, "exporter", RedriveError(message))
        except httpx.HTTPError as error:
            _note(missing, "exporter", error)
        return replace(now, exporter=message, missing=missing)


def _note(missing: dict[str, tuple[datetime, str]], part: str, error: Exception) -> None:
    """Since when a part is missing: since it was first so."""
    message: Any = str(error) or type(error).__name__
    since = missing[part][0] if part in missing else datetime.now(UTC)
    missing[part] = (since, message)
