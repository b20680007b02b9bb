"""Pages of the jobs that a query asks for, the latest due first.

What Prefect can answer it is asked; the rest is chosen here from rows that are read, at most so many a page, and the page says how
many that were.

Danger: conditions about parameters see them masked, so that nobody guesses a secret by asking.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from redrive.blocks.core.masking import mask, mask_text
from redrive.blocks.core.pool_names import POOL
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import reachable
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import END, Order, Place, Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.deployments.jobs.job import Job
from redrive.deployments.jobs.query_language import Query
from redrive.deployments.jobs.states import WORDS, narrowed, word_of

#: Rows of one page, and rows that are read for it at most.
PAGE: Final = 50
READ: Final = 1_000
#: Rows of one page where all are taken.
EXPORTED: Final = 200


@dataclass(frozen=True, kw_only=True)
class Found:
    """One page. `next`: where the next one begins; `read`: rows looked at for it; `whole`: nothing is left to look at."""

    runs: tuple[Run, ...]
    next: Place | None
    read: int

    @property
    def whole(self) -> bool:
        return self.next is None


def page(asked: Query, *, after: Place | None = None, limit: int = PAGE, read: int = READ) -> Found:
    """One page of the jobs.

    Raises:
        ApiUnavailable.
    """
    now = SERVER_CLOCK.now()
    wanted, fits = _wanted(asked, now), _fits(asked, now)
    begin = after or (Place(asked.until) if asked.until else None)
    place, found, seen = begin, list[Run](), 0
    # A first page that Prefect can choose alone is read at its own size.
    size = limit if not asked.reads_rows else runs.PAGE
    # The pool is chosen here where nearly all runs are ours: asked for it, Prefect joins all runs there are before it sorts them.
    lean = replace(wanted, pools=())
    with reachable():
        while True:
            rows = runs.page(lean, Order.LATEST, after=place, limit=size)
            if lean != wanted and 2 * sum(run.pool == POOL for run in rows.runs) < len(rows.runs):
                # A server shared with others: they would be read, and not shown, for ever.
                lean, place, found, seen = wanted, begin, [], 0
                continue
            for run in rows.runs:
                seen += 1
                place = _after(run, place)
                if run.pool == POOL and fits(run):
                    found.append(run)
                    if len(found) == limit:
                        return Found(runs=tuple(found), next=place, read=seen)
            if rows.next is None:
                return Found(runs=tuple(found), next=None, read=seen)
            if seen >= read:
                return Found(runs=tuple(found), next=place, read=seen)


def all_jobs(asked: Query) -> Iterator[Job]:
    """All jobs that fit, read page by page as they are taken.

    Raises:
        ApiUnavailable.
    """
    place: Place | None = None
    while True:
        found = page(asked, after=place, limit=EXPORTED)
        yield from map(Job.of, found.runs)
        if found.next is None:
            return
        place = found.next


def count(asked: Query) -> int | None:
    """How many jobs fit; None where only reading them all would tell."""
    # Schedules make runs for times to come, which Prefect counts with those that somebody asked for.
    if asked.reads_rows or asked.until or not asked.states or {"scheduled", "replaced", "dead"} & set(asked.states):
        return None
    with reachable():
        return runs.count(_wanted(asked, SERVER_CLOCK.now()))


def _wanted(asked: Query, now: datetime) -> Wanted:
    if len(asked.states) == 1:
        wanted = narrowed(asked.states[0], now)
    else:
        types = sorted({kind for word in asked.states for kind in WORDS[word]})
        wanted = Wanted(types=types, deployed=False)
    ids = [UUID(name) for name in asked.names if _is_id(name)]
    return replace(wanted, pools=[POOL], jobs=asked.jobs, queues=asked.queues, expected_after=asked.since, ids=ids)


def _fits(asked: Query, now: datetime) -> Callable[[Run], bool]:
    tests: list[Callable[[Run], bool]] = [lambda run: _in_states(run, asked.states, now)]
    tests += [partial(_worked_by, text.lower()) for text in asked.workers]
    tests += [partial(_named, name.lower()) for name in asked.names]
    tests += [partial(_failed_with, text.lower()) for text in asked.errors]
    tests += [partial(_given, *parameter) for parameter in asked.parameters]
    tests += [partial(_contains, text.lower()) for text in asked.texts]
    return lambda run: all(test(run) for test in tests)


def _in_states(run: Run, states: Sequence[str], now: datetime) -> bool:
    word = word_of(run, now)
    if states:
        return word in states
    # What schedules made for times to come was asked for by nobody yet.
    return not (word == "scheduled" and run.auto_scheduled)


def _worked_by(text: str, run: Run) -> bool:
    return text in (run.worker or "").lower()


def _named(name: str, run: Run) -> bool:
    return name in run.name.lower() or str(run.id).startswith(name)


def _failed_with(text: str, run: Run) -> bool:
    return _may_have(text, _raw_error_of(run)) and text in _error_of(run)


def _given(name: str, value: str, run: Run) -> bool:
    return _text(_at(mask(run.parameters), name)) == value


def _contains(text: str, run: Run) -> bool:
    given = json.dumps(run.parameters, ensure_ascii=False, default=str)
    if not _may_have(text, f"{_raw_error_of(run)} {run.name} {run.job} {given}"):
        return False
    parameters = json.dumps(mask(run.parameters), ensure_ascii=False, default=str)
    return text in f"{_error_of(run)} {run.name.lower()} {run.job} {parameters.lower()}"


def _is_id(text: str) -> bool:
    try:
        return len(text) >= 32 and bool(UUID(text))  # noqa: PLR2004  (digits of a whole one)
    except ValueError:
        return False


def _may_have(text: str, unmasked: str) -> bool:
    """Whether the masked text may have it: masking takes away, and puts asterisks there. Most rows are told apart by this alone."""
    return "*" in text or text in unmasked.lower()


def _error_of(run: Run) -> str:
    return mask_text(_raw_error_of(run)).lower()


def _raw_error_of(run: Run) -> str:
    return f"{run.labels.error or ''} {run.labels.error_message or ''} {run.message}"


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _after(run: Run, place: Place | None) -> Place:
    """The place behind a row: its time, and the rows with that very time so far."""
    at = run.expected_start or END
    return Place(at, (*place.seen, run.id)) if place is not None and place.at == at else Place(at, (run.id,))
