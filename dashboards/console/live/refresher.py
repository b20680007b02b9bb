"""The one reader of Prefect's API for everything that stays open: what pages want anew is read here, in their turn.

Each request waits until more than a second has passed since the one before. So pages that are open cost the API less than a call a
second, however many there are and whatever they show; with more of them each is read anew less often, and says how old it is. What a
person asks for is read at once, elsewhere.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.patience import patient
from redrive.blocks.prefect.calls import paced
from redrive.dashboards.console.live.pacer import Pacer

log = logging.getLogger("redrive.console")

#: Seconds after its last begin at which a reading that serves many goes before those that serve one.
URGENT: Final = 6.0
#: Seconds between two begins of a reading that serves many, at least.
LEAST: Final = 2.0
#: Seconds that a server may take to answer a request.
PATIENCE: Final = 4.0
#: Readings that serve one page which may go on at once: one of many requests keeps no other from its turns.
AT_ONCE: Final = 4
#: Seconds until a reader looks again whether it is to end.
IDLE: Final = 0.5


@dataclass(frozen=True)
class _Wanted:
    read: Callable[[], object]
    serves_many: bool


class Refresher:
    """Reads what is wanted, in the order in which it was asked for."""

    def __init__(
        self, pacer: Pacer | None = None, *, urgent: float = URGENT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pacer = pacer or Pacer()
        self._urgent = urgent
        self._clock = clock
        self._wanted: dict[Hashable, _Wanted] = {}
        self._begun: dict[Hashable, float] = {}
        self._change = threading.Condition()
        self._stop = threading.Event()
        #: Why the latest reading failed; empty if it did not.
        self.said = ""

    def want(self, key: Hashable, read: Callable[[], object], *, serves_many: bool = False) -> None:
        """Let this be read in its turn; wanted already, it keeps its place."""
        with self._change:
            self._wanted.setdefault(key, _Wanted(read, serves_many))
            self._change.notify_all()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Read as long as the block is in progress."""
        for serves_many in (True, *[False] * AT_ONCE):
            name = f"refresher-{'many' if serves_many else 'one'}"
            threading.Thread(target=self._run, args=(serves_many,), name=name, daemon=True).start()
        try:
            yield
        finally:
            self._stop.set()

    def turn(self, *, serves_many: bool) -> bool:
        """Read what is first of its kind; whether there was anything."""
        with self._change:
            key = self._first(serves_many)
            if key is None:
                return False
            wanted = self._wanted.pop(key)
            begun = self._begun.get(key, float("-inf"))
            if serves_many:
                self._begun[key] = self._clock()

        def level() -> int:
            """What serves many goes last as long as it is fresh, and first as soon as it is not."""
            return (0 if self._clock() - begun >= self._urgent else 2) if serves_many else 1

        with paced(lambda: self._pacer.take(level)), patient(PATIENCE):
            try:
                wanted.read()
                self.said = ""
            except (RedriveError, httpx.HTTPError) as error:
                self.said = str(error)
                log.info("%s could not be read anew: %s", key, error)
            except Exception:
                # A fault of ours in one page must not end what all others live from.
                log.exception("%s could not be read anew", key)
        return True

    def _run(self, serves_many: bool) -> None:  # noqa: FBT001  (a thread's argument)
        while not self._stop.is_set():
            if not self.turn(serves_many=serves_many):
                with self._change:
                    self._change.wait(IDLE)

    def _first(self, serves_many: bool) -> Hashable | None:  # noqa: FBT001  (as above)
        now = self._clock()
        mine = [key for key, wanted in self._wanted.items() if wanted.serves_many is serves_many]
        ready = [key for key in mine if now - self._begun.get(key, float("-inf")) >= LEAST]
        return (
            min(ready, key=lambda key: self._begun.get(key, float("-inf")), default=None)
            if serves_many
            else next(iter(mine), None)
        )
