"""Redriving many: every open dead letter that fits, at a pace, stoppable, and going on after it was cut off.

Danger: each row is claimed before its run is touched (`redrive.py`); the act's own record in the history says how far it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Self
from uuid import UUID, uuid4

from redrive.blocks.core.errors import Conflict, LedgerUnavailable, NotFound, ParameterError
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import reachable
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Ledger
from redrive.deployments.dead_letters.redrive import KnownDeployments, Redriven, redrive_known, start_same_run

#: Dead letters one command redrives at most, if not told otherwise: a filter that was meant narrower harms no more.
CAP = 1000
#: Rows that are read at once while many are redriven.
PAGE = 100
#: Seconds after which somebody who waits for the next one asks again whether to go on.
ASKED = 0.2
#: How many are redriven at once.
AT_ONCE = 6


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a bulk redrive did. `failed` are (row, why) that stay open; `stopped` if it was told to before the end."""

    id: UUID
    matched: int
    redriven: int
    failed: tuple[tuple[UUID, str], ...]
    stopped: bool


def redrive_all(
    ledger: Ledger,
    asked: Filter,
    *,
    who: str,
    why: str = "",
    rate: float | None = None,
    at_most: int | None = None,
    batch: UUID | None = None,
    progress: Callable[[int, int], bool] = lambda _done, _of: True,
    goes_on: Callable[[], bool] = lambda: True,
) -> Batch:
    """Run every open dead letter again that fits, the oldest first.

    Args:
        asked: which ones; its status is open.
        rate: jobs a second at most; None for as fast as Prefect takes them.
        at_most: how many; None for all, but no more than `CAP`.
        batch: id of the whole act. Given that of one that was cut off, it goes on: what was done counts, the rest is done.
        progress: called with (done, matched) after each; stops when it returns False.
        goes_on: asked all along, also between two that are far apart; stops when it returns False.

    Raises:
        NotFound: nothing fits.
        ParameterError: more than the cap. Nothing was done then.
    """
    if rate is not None and not rate > 0:
        raise ParameterError(f"a rate of {rate:g}/s never gets anywhere; give more than 0")
    begun = _begun(ledger, batch, who=who, why=why) if batch else 0
    batch = batch or uuid4()
    matched = ledger.count(asked) + begun
    if matched == 0:
        raise NotFound("no open dead letter fits; `redrive dead groups` shows what there is")
    if at_most is None and matched > CAP:
        raise ParameterError(
            f"{matched} dead letters fit, more than the {CAP} one command redrives: narrow the filter, or say how many with --limit"
        )
    wanted, stopped, detail = min(matched, at_most or CAP), False, None
    sums = partial(_record, ledger, batch, who=who, why=why, wanted=wanted)
    sums()
    one = partial(redrive_known, ledger, who=who, why=why, parameters=None, batch=batch, known=KnownDeployments())
    try:
        with _Parallel(lambda count: progress(count, wanted)) as parallel:
            for number, row in enumerate(_paced(_rows(ledger, asked, wanted - begun), rate, goes_on), start=1):
                if not parallel.take(row.id, partial(one, row.id)):
                    stopped = True
                    break
                if number % PAGE == 0:
                    sums()
            stopped = stopped or not goes_on()
        detail = why if parallel.broken is None and not stopped else None
    finally:
        # Also after an error or a Ctrl-C; if the ledger itself is gone, what was written before stands.
        with suppress(LedgerUnavailable):
            sums(detail=detail)
    if parallel.broken is not None:
        raise parallel.broken
    done = begun + parallel.done
    stopped = stopped and done + len(parallel.failed) < wanted
    return Batch(id=batch, matched=matched, redriven=done, failed=tuple(parallel.failed), stopped=stopped)


def _record(ledger: Ledger, batch: UUID, *, who: str, why: str, wanted: int, detail: str | None = None) -> None:
    """Write into the history how far a batch is: should it be cut off, that stays. `said` is written when it is done."""
    done = ledger.batch_count(batch)
    so_far = f"{why} ({done} of {wanted} done, {wanted - done} remain)".strip()
    ledger.record_batch("redriven", who=who, why=so_far if detail is None else detail, batch=batch, count=done)


def _begun(ledger: Ledger, batch: UUID, *, who: str, why: str) -> int:
    """What a batch of that id did before it was cut off. A row that it claimed and did not start is started now."""
    cursor: str | None = None
    known = KnownDeployments()
    while True:
        page = ledger.find(Filter(status="redriven", batch=batch), limit=PAGE, cursor=cursor)
        with reachable():
            found = runs.by_id([row.run_id for row in page.rows if row.replaced_by_run_id is None])
            for row in page.rows:
                run = found.get(row.run_id)
                if run is not None and run.state_id == row.dead_state_id:
                    try:
                        start_same_run(row, run, who=who, why=why, known=known)
                    except Conflict as error:
                        ledger.unclaim(row.id, who=who, why=f"could not be started: {error}")
        cursor = page.next
        if cursor is None:
            return ledger.batch_count(batch)


class _Parallel:
    """Redrives some at once: each takes several calls, one after another, and a pace of 20 a second leaves 50 ms for one."""

    def __init__(self, progress: Callable[[int], bool]) -> None:
        self.done = 0
        self.failed: list[tuple[UUID, str]] = []
        #: What ended it all: not one row's trouble, but that of the API or the ledger.
        self.broken: BaseException | None = None
        self._progress = progress
        self._go_on = True
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._under_way: dict[Future[Redriven], UUID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """What was begun is brought to its end."""
        self._settle(to=0)
        self._pool.shutdown()

    def take(self, row_id: UUID, work: Callable[[], Redriven]) -> bool:
        """Begin one, as soon as one of them is through; whether to go on."""
        self._under_way[self._pool.submit(work)] = row_id
        self._settle(to=AT_ONCE - 1)
        return self._go_on

    def _settle(self, *, to: int) -> None:
        while len(self._under_way) > to:
            for finished in wait(self._under_way, return_when=FIRST_COMPLETED).done:
                row_id, error = self._under_way.pop(finished), finished.exception()
                if error is None:
                    self.done += 1
                elif isinstance(error, Conflict):
                    # Somebody acted on this one row; the others are not concerned.
                    self.failed.append((row_id, str(error)))
                else:
                    self.broken, self._go_on = error, False
                    continue
                self._go_on = self._progress(self.done + len(self.failed)) and self._go_on


def _rows(ledger: Ledger, asked: Filter, wanted: int) -> Iterator[DeadLetter]:
    cursor: str | None = None
    while wanted > 0:
        page = ledger.find(asked, limit=min(PAGE, wanted), cursor=cursor, oldest_first=True)
        yield from page.rows
        wanted -= len(page.rows)
        cursor = page.next
        if cursor is None:
            return


def _paced(rows: Iterator[DeadLetter], rate: float | None, goes_on: Callable[[], bool]) -> Iterator[DeadLetter]:
    due = time.monotonic()
    for row in rows:
        if rate is not None:
            while goes_on() and (left := due - time.monotonic()) > 0:
                time.sleep(min(left, ASKED))
            if not goes_on():
                return
            # A slow API must not be made up for by a burst.
            due = max(due, time.monotonic() - 1 / rate) + 1 / rate
        yield row
