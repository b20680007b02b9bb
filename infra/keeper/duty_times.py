"""When the keeper's duties last succeeded, written into the ledger by a thread of its own.

A keeper that stands still, or whose duty hangs, then shows from outside: the time in the ledger grows old.

Danger: recording must never hold up a duty; so a duty only notes, and what the ledger does not take now is written later.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from redrive.blocks.core.errors import RedriveError
from redrive.deployments.dead_letters.ledger import DutyRecord, Ledger

log = logging.getLogger("redrive.keeper")

#: Seconds between two records: what did not change meanwhile costs nothing, and all duties are one transaction.
RECORD: Final = 5.0


@dataclass(kw_only=True)
class _Noted:
    """What happened of a duty since the last record; times are of the monotonic clock."""

    succeeded: float | None = None
    seconds: float | None = None
    failed: float | None = None
    error: str | None = None


class DutyTimes:
    """Notes of one keeper. `every` are its duties with the seconds between two rounds."""

    def __init__(
        self, ledger: Ledger, every: Mapping[str, float], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.keeper = f"{socket.gethostname()}:{os.getpid()}"
        self._ledger = ledger
        self._every = dict(every)
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: dict[str, _Noted] = {}
        self._began = False
        self._took_over: set[str] = set()
        self._failing = False

    def done(self, duty: str, *, seconds: float) -> None:
        """A round of it succeeded just now, and took so long."""
        with self._lock:
            noted = self._noted.setdefault(duty, _Noted())
            noted.succeeded, noted.seconds = self._clock(), seconds

    def failed(self, duty: str, error: str) -> None:
        """A round of it failed just now."""
        with self._lock:
            noted = self._noted.setdefault(duty, _Noted())
            noted.failed, noted.error = self._clock(), error

    def run(self, stop: threading.Event) -> None:
        """Record every few seconds until `stop` is set."""
        while not stop.is_set():
            self.record()
            stop.wait(RECORD)

    def record(self) -> None:
        """Write what was noted since the last record; what cannot be written is kept for the next one."""
        with self._lock:
            noted, self._noted = self._noted, {}
        try:
            self._write(noted)
        except RedriveError as error:
            self._keep(noted)
            if not self._failing:
                log.warning("times of duties have to wait: %s", error)
            self._failing = True
        except Exception:
            # A bug here shows as duties that grow old, which raises an alert; it must not end the thread.
            self._keep(noted)
            log.exception("times of duties could not be recorded; tried again in %g s", RECORD)
            self._failing = True
        else:
            self._failing = False

    def _write(self, noted: Mapping[str, _Noted]) -> None:
        if not self._began:
            self._ledger.begin_duties(self.keeper, self._every)
            self._began = True
        if not noted:
            return
        now = self._clock()
        self._ledger.duty_done(
            self.keeper, *(_record(duty, self._every[duty], one, now) for duty, one in noted.items())
        )
        if new := {duty for duty, one in noted.items() if one.succeeded is not None} - self._took_over:
            self._ledger.forget_keepers(self.keeper, sorted(new))
            self._took_over |= new

    def _keep(self, noted: Mapping[str, _Noted]) -> None:
        """Put back what was not written, under what was noted meanwhile."""
        with self._lock:
            for duty, old in noted.items():
                new = self._noted.setdefault(duty, old)
                if new is not old and new.succeeded is None:
                    new.succeeded, new.seconds = old.succeeded, old.seconds
                if new is not old and new.failed is None:
                    new.failed, new.error = old.failed, old.error


def _record(duty: str, every: float, noted: _Noted, now: float) -> DutyRecord:
    return DutyRecord(
        duty=duty,
        every=every,
        succeeded=None if noted.succeeded is None else now - noted.succeeded,
        seconds=noted.seconds,
        failed=None if noted.failed is None else now - noted.failed,
        error=noted.error,
    )
