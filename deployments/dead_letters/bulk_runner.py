"""Carries bulk acts out: claims one that nobody runs, redrives or discards at its pace, stops when told, goes on after any restart.

Danger: a runner that loses its act (it was silent too long) may still be at its last row; the ledger gives each row to one only.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from redrive.blocks.core.errors import ApiUnavailable, LedgerUnavailable, NotFound, ParameterError, RedriveError
from redrive.blocks.core.patience import SERVICE, patient
from redrive.deployments.dead_letters.ledger import Filter, Ledger
from redrive.deployments.dead_letters.ledger.bulk_acts import BulkAct, What
from redrive.deployments.dead_letters.redrive_many import redrive_all

log = logging.getLogger("redrive.bulk")

#: Seconds between two polls for an act that nobody runs, and between two signs of life.
POLL: Final = 1.0
SIGN: Final = 3.0
#: Acts that one process runs side by side.
SIDE_BY_SIDE: Final = 4
#: Seconds until an act that a server held up is tried again.
AGAIN: Final = 3.0
#: Seconds between two notes of how far an act is.
NOTE: Final = 0.5


def ask(ledger: Ledger, what: What, asked: Filter, *, who: str, why: str = "", rate: float | None = None) -> BulkAct:
    """Ask for a bulk act on all open dead letters that fit now; whoever runs acts carries it out.

    Raises:
        NotFound: none fits.
        ParameterError: an impossible pace.
    """
    if rate is not None and not rate > 0:
        raise ParameterError(f"a pace of {rate:g} a second never gets anywhere; give more than 0")
    fixed = asked.model_copy(update={"status": "open", "recorded_until": asked.recorded_until or datetime.now(UTC)})
    wanted = ledger.count(fixed)
    if wanted == 0:
        raise NotFound("no open dead letter fits (any more)")
    return ledger.bulk_acts.ask(what, fixed, who=who, why=why, rate=rate, wanted=wanted)


class BulkRunner:
    """Runs the acts of one process until it is told to stop; what it began is gone on with by the next."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"
        self._stop = threading.Event()
        self._running: dict[UUID, _Run] = {}
        self._asked = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._loop, name="bulk-runner", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()
        self._asked.set()

    def wake(self) -> None:
        """Look for an act now: somebody has just asked for one."""
        self._asked.set()

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._running = {one: run for one, run in self._running.items() if run.is_alive()}
            try:
                if len(self._running) < SIDE_BY_SIDE and (act := self._ledger.bulk_acts.claim(self._name)):
                    self._running[act.id] = run = _Run(self._ledger, act, self._name, self._stop)
                    run.start()
                    continue
            except RedriveError as error:
                log.warning("cannot look for bulk acts: %s", error)
            self._asked.clear()
            self._asked.wait(POLL)


class _Run(threading.Thread):
    """One act under way."""

    def __init__(self, ledger: Ledger, act: BulkAct, runner: str, stop: threading.Event) -> None:
        super().__init__(name=f"bulk-{act.id}", daemon=True)
        self._ledger, self._act, self._runner = ledger, act, runner
        self._process_ends = stop
        self._go_on = True
        self._over = threading.Event()
        self._noted = 0.0

    def run(self) -> None:
        signs = threading.Thread(target=self._give_signs, daemon=True)
        signs.start()
        try:
            while self._go_on and not self._process_ends.is_set():
                try:
                    # Nobody waits in front of it: a server may take a service's time.
                    with patient(SERVICE):
                        self._carry_out()
                except (ApiUnavailable, LedgerUnavailable) as error:
                    self._held_up(str(error))
                    self._process_ends.wait(AGAIN)
                else:
                    return
            if not self._process_ends.is_set():
                self._end_stopped()
        except Exception as error:
            log.exception("bulk act %s failed", self._act.id)
            self._ledger.bulk_acts.end(self._act.id, "stopped", f"a fault of Redrive: {type(error).__name__}: {error}")
        finally:
            self._over.set()

    def _carry_out(self) -> None:
        act, ledger = self._act, self._ledger
        if act.what == "discard":
            left = act.wanted - ledger.batch_count(act.id)
            if left > 0:
                ledger.discard_all(
                    act.filter, who=act.who, why=act.why, batch=act.id, at_most=left, progress=lambda _: self._goes_on()
                )
            failed: list[tuple[UUID, str]] = []
        else:
            try:
                batch = redrive_all(
                    ledger,
                    act.filter,
                    who=act.who,
                    why=act.why,
                    rate=act.rate,
                    at_most=act.wanted,
                    batch=act.id,
                    progress=self._progress,
                    goes_on=self._goes_on,
                )
                failed = list(batch.failed)
            except NotFound:
                # Others were quicker with every row that it had left.
                failed = []
        done = ledger.batch_count(act.id)
        if self._process_ends.is_set() and done + len(failed) < act.wanted:
            return
        ledger.bulk_acts.progress(act.id, done=done, failed=failed)
        if not self._go_on and done + len(failed) < act.wanted:
            self._end_stopped()
            return
        others = act.wanted - done - len(failed)
        ledger.bulk_acts.end(act.id, "done", f"{others} were acted on by others meanwhile" if others > 0 else "")

    def _progress(self, count: int, _: int) -> bool:
        if time.monotonic() - self._noted > NOTE:
            self._noted = time.monotonic()
            self._ledger.bulk_acts.progress(self._act.id, done=self._ledger.batch_count(self._act.id), failed=[])
        del count
        return self._goes_on()

    def _goes_on(self) -> bool:
        return self._go_on and not self._process_ends.is_set()

    def _give_signs(self) -> None:
        while not self._over.wait(min(SIGN, POLL)):
            try:
                if not self._ledger.bulk_acts.alive(self._act.id, self._runner):
                    self._go_on = False
                    return
            except RedriveError:
                # Without the ledger nothing is claimed either, so nobody else takes it over meanwhile.
                continue

    def _held_up(self, detail: str) -> None:
        try:
            self._ledger.bulk_acts.held_up(self._act.id, detail)
        except RedriveError:
            log.warning("bulk act %s is held up: %s", self._act.id, detail)

    def _end_stopped(self) -> None:
        now = self._ledger.bulk_acts.get(self._act.id)
        if now.runner == self._runner and now.stop_asked_by:
            self._ledger.bulk_acts.progress(now.id, done=self._ledger.batch_count(now.id), failed=list(now.failed))
            self._ledger.bulk_acts.end(now.id, "stopped", f"stopped by {now.stop_asked_by}")
