"""The keeper as a process: `python -m redrive.infra.keeper.service`.

Several keepers at once do no harm: rows are unique by death, rescues are decided under a lock.

Danger: whatever goes wrong in one sweep is logged and the next one comes; the keeper itself must never end for it.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redrive.blocks.core.duty import Duty, attend_in_turn
from redrive.blocks.core.errors import ApiUnavailable, RedriveError
from redrive.blocks.core.heap import freeze_loaded
from redrive.blocks.core.patience import SERVICE
from redrive.blocks.core.settings import Settings, settings
from redrive.blocks.prefect.client import reachable
from redrive.deployments.catalog import problems
from redrive.deployments.dead_letters.ledger import Ledger
from redrive.deployments.dead_letters.review_questions import PATIENCE, withdraw_unanswered
from redrive.infra.keeper.auditing import Auditor
from redrive.infra.keeper.collecting import Collector
from redrive.infra.keeper.duty_times import DutyTimes
from redrive.infra.keeper.postponed import Postponed
from redrive.infra.keeper.rescue import Rescuer
from redrive.infra.keeper.resolving import Resolver
from redrive.infra.keeper.stranded import Stranded

log = logging.getLogger("redrive.keeper")

#: Seconds between sweeps. Collecting is what people wait for; the others look at more and may be slower.
COLLECT = 1.5
RESOLVE = 3.0
WIDE_COLLECT = 60.0
RECLAIM_STRANDED = 20.0
BRING_FORWARD = 20.0
WITHDRAW = 60.0
AUDIT = 60.0
#: A rescue sweep looks this often within one lease, and at most every so many seconds.
POLLS_PER_LEASE = 15
RESCUE = 5.0

#: Touched after each round that worked; `redrive status` reads its age.
ALIVE_FILE = "keeper.alive"


class Keeper:
    """Collects, resolves, rescues and withdraws unanswered questions until told to stop."""

    def __init__(self, settings: Settings, ledger: Ledger, *, patience: timedelta = PATIENCE) -> None:
        self._settings = settings
        self._rescuer = Rescuer(settings, ledger)
        collector, resolver = Collector(ledger), Resolver(ledger)
        rescue_every = min(RESCUE, settings.retry_after / POLLS_PER_LEASE)
        #: In a thread of its own: whatever the others wait for, jobs of lost workers do not.
        self._rescue = Duty("rescue", rescue_every, lambda: self._rescuer.sweep(now=time.monotonic()))
        self._duties = [
            Duty("collect", COLLECT, collector.sweep),
            Duty("collect widely", WIDE_COLLECT, lambda: collector.sweep(wide=True)),
            Duty("resolve", RESOLVE, resolver.sweep),
            Duty("unstrand", RECLAIM_STRANDED, Stranded().sweep),
            Duty("bring forward", BRING_FORWARD, Postponed().sweep),
            Duty("audit", AUDIT, Auditor(ledger).sweep),
            Duty("withdraw", WITHDRAW, lambda: withdraw_unanswered(patience)),
        ]
        #: Names of duties that did not work last time.
        self._failing: set[str] = set()
        self._times = DutyTimes(ledger, {duty.name: duty.every for duty in [self._rescue, *self._duties]})

    def run(self, stop: threading.Event) -> None:
        """Do every duty when its time has come, until `stop` is set."""
        threading.Thread(target=self._times.run, args=(stop,), name="duty times", daemon=True).start()
        rescue = threading.Thread(target=attend_in_turn, args=([self._rescue], self._attend, stop), name="rescue")
        rescue.start()
        attend_in_turn(self._duties, self._attend, stop)
        rescue.join()

    def _attend(self, duty: Duty) -> None:
        began = time.monotonic()
        try:
            with reachable(SERVICE):
                for done in duty.do() or ():
                    log.info("%s: %s", duty.name, done)
        except RedriveError as error:
            # Prefect or the ledger is unavailable: nothing is lost, the sweep finds it all when they are back.
            if duty.name not in self._failing:
                log.warning("%s has to wait: %s", duty.name, error)
            self._failing.add(duty.name)
            self._times.failed(duty.name, str(error))
            if duty.name == "rescue" or isinstance(error, ApiUnavailable):
                self._rescuer.missed()
        except Exception as error:
            # A bug in one duty, or an answer nobody foresaw, must not stop the others.
            log.exception("%s failed; it is tried again in %g s", duty.name, duty.every)
            self._failing.add(duty.name)
            self._times.failed(duty.name, f"{type(error).__name__}: {error}")
        else:
            if duty.name in self._failing:
                log.info("%s works again", duty.name)
            self._failing.discard(duty.name)
            self._times.done(duty.name, seconds=time.monotonic() - began)
            _touch(self._settings.home / "run" / ALIVE_FILE)
        duty.last = time.monotonic()


def main() -> None:
    """Run the keeper of this stack until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    here = settings()
    for problem in problems():
        log.warning("job types are left out: %s", problem)
    with Ledger(here.ledger_url()) as ledger:
        _when_there(ledger, stop)
        log.info("keeping %s; a silent worker keeps its jobs for %g s", here.api_url, here.retry_after)
        keeper = Keeper(here, ledger)
        freeze_loaded()
        keeper.run(stop)


def _when_there(ledger: Ledger, stop: threading.Event) -> None:
    """Migrate the ledger as soon as its database answers."""
    detail = False
    while not stop.is_set():
        try:
            ledger.migrate()
        except RedriveError as error:
            if not detail:
                log.warning("waiting for the ledger: %s", error)
            detail = True
            stop.wait(1)
        else:
            return


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(datetime.now(UTC).isoformat())


if __name__ == "__main__":
    main()
