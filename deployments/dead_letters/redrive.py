"""Redriving: a dead job runs again, as the same run or as a new one with edited parameters; alone or many at a pace.

Danger: a row is claimed before its run is touched, so two operators never start one job twice; whoever claims it must start
it or give it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from uuid import UUID, uuid4

import httpx

from redrive.blocks.core.errors import Conflict, LedgerAway, NotFound, ParameterError, RedriveError
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.labels import REDRIVEN_BY
from redrive.blocks.prefect.requests import deployments
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.run_labels import KEY, REPLACED_BY, REPLACES, fresh_count
from redrive.blocks.prefect.run_state import require_state, start_again
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.states import CANCELLED, DEAD, SCHEDULED, state
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Ledger
from redrive.deployments.enqueue import Item, deployment_of, enqueue_many
from redrive.deployments.parameters import checked

#: Dead letters one command redrives at most, if not told otherwise: a filter that was meant narrower harms no more.
CAP = 1000
#: Rows that are read at once while many are redriven.
PAGE = 100
#: How many are redriven at once.
HANDS = 6
#: Seconds a batch remembers that a deployment is there.
SEEN = 5.0


@dataclass(frozen=True, kw_only=True)
class Redriven:
    """A dead letter that runs again: `run_id` is its own run, or the new one with `edited` parameters."""

    id: UUID
    job: str
    run_id: UUID
    edited: bool


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a bulk redrive did. `failed` are (row, why) that stay open; `stopped` if it was told to before the end."""

    id: UUID
    matched: int
    redriven: int
    failed: tuple[tuple[UUID, str], ...]
    stopped: bool


def redrive(
    ledger: Ledger,
    which: UUID | str,
    *,
    who: str,
    why: str = "",
    parameters: Mapping[str, Any] | None = None,
    batch: UUID | None = None,
) -> Redriven:
    """Run one dead letter again.

    Args:
        which: id of the row or of its run, or the beginning of one.
        who: the person. why: kept in the history.
        parameters: edited ones, checked before anything happens: then a new run replaces the old one.

    Raises:
        NotFound: no such row. Conflict: somebody else was quicker, or its job type is gone.
        ParameterError: the edited parameters do not fit. ApiUnavailable, LedgerAway.
    """
    return _redrive(ledger, which, who=who, why=why, parameters=parameters, batch=batch, known=_Deployments())


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
) -> Batch:
    """Run every open dead letter again that fits, the oldest first.

    Args:
        asked: which ones; its status is open.
        rate: jobs a second at most; None for as fast as Prefect takes them.
        at_most: how many; None for all, but no more than `CAP`.
        batch: id of the whole act. Given that of one that was cut off, it goes on: what was done counts, the rest is done.
        progress: called with (done, matched) after each; stops when it returns False.

    Raises:
        NotFound: nothing fits. ParameterError: more than the cap. Nothing was done then.
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
    wanted, stopped, said = min(matched, at_most or CAP), False, None
    sums = partial(_record, ledger, batch, who=who, why=why, wanted=wanted)
    sums()
    one = partial(_redrive, ledger, who=who, why=why, parameters=None, batch=batch, known=_Deployments())
    try:
        with _Hands(lambda count: progress(count, wanted)) as hands:
            for number, row in enumerate(_paced(_rows(ledger, asked, wanted - begun), rate), start=1):
                if not hands.take(row.id, partial(one, row.id)):
                    stopped = True
                    break
                if number % PAGE == 0:
                    sums()
        said = why if hands.broken is None and not stopped else None
    finally:
        # Also after an error or a Ctrl-C; if the ledger itself is gone, what was written before stands.
        with suppress(LedgerAway):
            sums(said=said)
    if hands.broken is not None:
        raise hands.broken
    done = begun + hands.done
    stopped = stopped and done + len(hands.failed) < wanted
    return Batch(id=batch, matched=matched, redriven=done, failed=tuple(hands.failed), stopped=stopped)


def _record(ledger: Ledger, batch: UUID, *, who: str, why: str, wanted: int, said: str | None = None) -> None:
    """Write into the history how far a batch is: should it be cut off, that stays. `said` is written when it is done."""
    done = ledger.batch_count(batch)
    so_far = f"{why} ({done} of {wanted} done, {wanted - done} remain)".strip()
    ledger.record_batch("redriven", who=who, why=so_far if said is None else said, batch=batch, count=done)


def _begun(ledger: Ledger, batch: UUID, *, who: str, why: str) -> int:
    """What a batch of that id did before it was cut off. A row that it claimed and did not start is started now."""
    cursor: str | None = None
    known = _Deployments()
    while True:
        page = ledger.find(Filter(status="redriven", batch=batch), limit=PAGE, cursor=cursor)
        with reachable():
            found = runs.by_id([row.run_id for row in page.rows if row.replaced_by_run_id is None])
            for row in page.rows:
                run = found.get(row.run_id)
                if run is not None and run.state_id == row.dead_state_id:
                    try:
                        _again(row, run, who=who, why=why, known=known)
                    except Conflict as error:
                        ledger.unclaim(row.id, who=who, why=f"could not be started: {error}")
        cursor = page.next
        if cursor is None:
            return ledger.batch_count(batch)


class _Deployments:
    """Which deployments there are. One that was there is taken to be there for some seconds: a batch would ask for each row."""

    def __init__(self) -> None:
        self._seen: dict[UUID, float] = {}

    def has(self, deployment_id: UUID | None) -> bool:
        if deployment_id is None:
            return False
        if time.monotonic() - self._seen.get(deployment_id, -SEEN) < SEEN:
            return True
        if ask(deployments.read(deployment_id).or_none()) is None:
            return False
        self._seen[deployment_id] = time.monotonic()
        return True


class _Hands:
    """Redrives some at once: each takes several calls, one after another, and a pace of 20 a second leaves 50 ms for one."""

    def __init__(self, progress: Callable[[int], bool]) -> None:
        self.done = 0
        self.failed: list[tuple[UUID, str]] = []
        #: What ended it all: not one row's trouble, but that of the API or the ledger.
        self.broken: BaseException | None = None
        self._progress = progress
        self._go_on = True
        self._pool = ThreadPoolExecutor(HANDS)
        self._under_way: dict[Future[Redriven], UUID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """What was begun is brought to its end."""
        self._settle(to=0)
        self._pool.shutdown()

    def take(self, row_id: UUID, work: Callable[[], Redriven]) -> bool:
        """Begin one, as soon as a hand is free; whether to go on."""
        self._under_way[self._pool.submit(work)] = row_id
        self._settle(to=HANDS - 1)
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


def _redrive(
    ledger: Ledger,
    which: UUID | str,
    *,
    who: str,
    why: str,
    parameters: Mapping[str, Any] | None,
    batch: UUID | None,
    known: _Deployments,
) -> Redriven:
    row = ledger.get(which)
    with reachable():
        if parameters is not None:
            deployment = deployment_of(row.job)
            checked(row.job, parameters, deployment.parameter_openapi_schema or {}, deployment.parameters or {})
        claimed = ledger.claim_for_redrive(row.id, who=who, why=why, batch=batch)
        try:
            run = runs.by_id([row.run_id]).get(row.run_id)
            if run is not None:
                _still_dead(claimed, run)
            if run is None or parameters is not None:
                edited = row.parameters if parameters is None else parameters
                return _replace(ledger, claimed, run, edited, who=who)
            return _again(claimed, run, who=who, why=why, known=known)
        except (RedriveError, httpx.HTTPError) as error:
            ledger.unclaim(row.id, who=who, why=f"could not be started: {error}")
            raise


def _still_dead(row: DeadLetter, run: Run) -> None:
    """Nobody else started the run meanwhile. A run that Prefect cancelled for its missing deployment is dead too.

    Raises:
        Conflict: it is not dead any more.
    """
    if run.state_type not in DEAD and run.state_id != row.dead_state_id:
        raise Conflict(f"job {run.name} ({run.id}) is {run.state_name}, not dead; its row follows by itself")


def _again(row: DeadLetter, run: Run, *, who: str, why: str, known: _Deployments) -> Redriven:
    """The same run again: what its steps completed is not repeated."""
    if not known.has(run.deployment_id):
        raise Conflict(
            f"job {run.name} ({run.id}): its deployment of {row.job!r} is gone, so no worker could run it; "
            f"register the job type again (`redrive up`) and redrive with --params-json, or discard it"
        )
    said = f"redriven by {who}" + (f": {why}" if why else "")
    now = SERVER_CLOCK.now()
    start_again(
        run.id, state_id=run.state_id, at=now, message=said, retrying=False, labels=fresh_count(now, death=run.state_id)
    )
    return Redriven(id=row.id, job=row.job, run_id=run.id, edited=False)


def _replace(ledger: Ledger, row: DeadLetter, run: Run | None, parameters: Mapping[str, Any], *, who: str) -> Redriven:
    """A new run instead of the old one, which carries its key on: effects that happened do not happen twice."""
    key = row.effect_key or (run.effect_key if run else str(row.run_id))
    labels = {REPLACES: str(row.run_id), KEY: key, REDRIVEN_BY: who}
    # The row and how often it was redriven name this very request: asked twice, it makes one run.
    item = Item(parameters=parameters, key=f"redrive:{row.id}:{row.redrives}", labels=labels)
    queue = row.queue if row.queue in {"high", "default", "low"} else None
    if run is not None:
        require_state(run.id, run.state_id)
    (accepted,) = enqueue_many(row.job, [item], queue=queue)  # type: ignore[arg-type]  # checked in the line above
    if run is not None:
        # Before the row is linked: cut off in between, the row is given back, and asking again finds the same new run.
        ask(requests.label(run.id, {REPLACED_BY: str(accepted.id)}))
        try:
            require_state(run.id, run.state_id)
        except Conflict:
            # Pressed in the moment of making the new one.
            _take_back(run, accepted.id)
            raise
    ledger.link_replacement(row.run_id, accepted.id)
    return Redriven(id=row.id, job=row.job, run_id=accepted.id, edited=True)


def _take_back(run: Run, replacement: UUID) -> None:
    """Somebody pressed Retry on the old run meanwhile: the new one goes, with its key, unless a worker has it already."""
    taken_back = state(CANCELLED, message=f"run {run.id} was started again meanwhile")
    if runs.transition(replacement, taken_back, only_from=[SCHEDULED]):
        runs.delete_if([replacement], types=[CANCELLED])
    ask(requests.label(run.id, {REPLACED_BY: ""}))


def _rows(ledger: Ledger, asked: Filter, wanted: int) -> Iterator[DeadLetter]:
    cursor: str | None = None
    while wanted > 0:
        page = ledger.find(asked, limit=min(PAGE, wanted), cursor=cursor, oldest_first=True)
        yield from page.rows
        wanted -= len(page.rows)
        cursor = page.next
        if cursor is None:
            return


def _paced(rows: Iterator[DeadLetter], rate: float | None) -> Iterator[DeadLetter]:
    due = time.monotonic()
    for row in rows:
        if rate is not None:
            time.sleep(max(0.0, due - time.monotonic()))
            # A slow API must not be made up for by a burst.
            due = max(due, time.monotonic() - 1 / rate) + 1 / rate
        yield row
