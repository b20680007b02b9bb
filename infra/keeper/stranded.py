"""Stranded retries: runs that wait for a process that is gone, because Prefect left them marked for it; no worker takes them.

Prefect's filters know nothing of that mark, so the runs themselves are read, two pages a sweep however many wait: those that are
due the longest, where stranded ones gather as all others are taken, and the next page of a slow round over all, for those behind
a queue that is paused.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import Order, Place, Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import AWAITING_RETRY, RETRYING, SCHEDULED
from redrive.deployments.pools import pools

NAMES = (AWAITING_RETRY, RETRYING)


class Stranded:
    """Releases stranded retries for any worker."""

    def __init__(self) -> None:
        self._place: Place | None = None

    def sweep(self) -> list[UUID]:
        """Release those of two pages; returns which."""
        wanted = Wanted(types=[SCHEDULED], names=NAMES, pools=pools(), due_before=SERVER_CLOCK.now())
        first = runs.page(wanted, Order.DUE)
        found = first.runs
        if first.next is not None:
            further = runs.page(wanted, Order.DUE, after=self._place or first.next)
            self._place = further.next
            found = [*found, *further.runs]
        return _release(found)


def _release(waiting: Iterable[Run]) -> list[UUID]:
    released = []
    for run in waiting:
        if run.retry_type == "in_process" and run.id not in released:
            ask(requests.update(run.id, {"empirical_policy": {"retry_type": "reschedule"}}))
            released.append(run.id)
    return released
