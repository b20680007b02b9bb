"""Finding jobs: a list by state, job type, queue and time; one by its id, the beginning of it, or its name.

Danger: what a name or a beginning finds is asked of the latest runs only; an id finds any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from redrive.blocks.core.errors import CatalogError, Conflict, NotFound, ParameterError
from redrive.blocks.core.nearest import unknown
from redrive.blocks.core.pool_names import POOL
from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask, reachable
from redrive.blocks.prefect.requests import deployments, flows
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.runs import Order, Wanted
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.deployments.catalog import catalog
from redrive.deployments.jobs.job import Job
from redrive.deployments.jobs.states import WORDS, narrowed, word_of
from redrive.deployments.queue_names import queues

#: Shortest beginning of an id that names a job.
PREFIX_LENGTH = 8
#: How many of the latest runs are searched for a job by the beginning of its id.
SEARCHED = 2000


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs. `state`: one of `WORDS`, or Prefect's name of one. `since`: due then or later.

    `scheduled`: also what schedules made for times to come, which nobody asked for yet.
    """

    state: str | None = None
    job: str | None = None
    queue: str | None = None
    since: datetime | None = None
    scheduled: bool = False

    def check(self) -> None:
        """Refuse names that there are not.

        Raises:
            ParameterError: with the nearest. ApiUnavailable.
        """
        if self.queue is not None and self.queue not in queues():
            raise ParameterError(unknown("queue", self.queue, queues()))
        with reachable():
            if self.job is not None:
                check_job_type(self.job)
            if self.state is not None and self.state not in WORDS and not _is_prefects_name(self.state):
                raise ParameterError(unknown("state", self.state, WORDS))


def list_jobs(
    *,
    state: str | None = None,
    job: str | None = None,
    queue: str | None = None,
    since: datetime | None = None,
    scheduled: bool = False,
    limit: int = 50,
) -> list[Job]:
    """Jobs, the latest due first; housekeeping is left out, and so is what schedules made for times to come.

    Args:
        state: one of `job_states.WORDS`, or Prefect's name of a state.
        job, queue: their names.
        since: due then or later.
        scheduled: with what schedules made for times to come.
        limit: 1 or more.

    Raises:
        ParameterError: there is no such state, job type or queue; with the nearest. ApiUnavailable.
    """
    asked = JobFilter(state=state, job=job, queue=queue, since=since, scheduled=scheduled)
    return [Job.of(run) for run in matching(asked, limit=limit)]


def matching(asked: JobFilter, *, limit: int | None = None, only: tuple[str, ...] = tuple(WORDS)) -> list[Run]:
    """The runs that fit, the latest due first.

    Args:
        limit: at most this many; None for all.
        only: in these states, whichever the filter leaves open.

    Raises:
        as `list_jobs`.
    """
    if limit is not None and limit < 1:
        raise ParameterError(f"a limit of {limit} shows nothing; give 1 or more")
    asked.check()
    now = SERVER_CLOCK.now()
    found: list[Run] = []
    with reachable():
        for run in _read(_wanted(asked, only, now), _fits(asked, only, now)):
            found.append(run)
            if len(found) == limit:
                break
    return found


def find_job(reference: str | UUID) -> Run:
    """The flow run of an id, of the beginning of one (8 characters or more), or of a run's name.

    Raises:
        NotFound: none.
        Conflict: several.
    """
    text = str(reference)
    with reachable():
        try:
            wanted = UUID(text)
        except ValueError:
            found = _page(Wanted(run_names=[text], deployed=False), limit=2) or _by_prefix(text)
        else:
            found = list(runs.by_id([wanted]).values())
    if not found:
        raise NotFound(f"there is no job {text!r}; `redrive jobs list` shows what there is")
    if len(found) > 1:
        raise Conflict(f"{text!r} names several jobs: {', '.join(str(run.id) for run in found)}; give more of the id")
    return found[0]


def check_job_type(name: str) -> None:
    """Refuse a job type that neither Prefect nor the catalog knows.

    Raises:
        ParameterError: with the nearest.
    """
    if not ask(flows.exists(name)):
        known = known_job_types()
        if name not in known:
            raise ParameterError(unknown("job type", name, known))


def known_job_types() -> list[str]:
    """The catalog, as far as it can be read here, and what Prefect has."""
    try:
        mine = {job.name for job in catalog().values() if job.pool == POOL}
    except CatalogError:
        # Whoever looks at jobs need not have their code.
        mine = set()
    there = {deployment["name"] for deployment in ask(deployments.of_pool(POOL))}
    return sorted(mine | there)


def _is_prefects_name(state: str) -> bool:
    """Whether a job is in a state of that name: any flow may name its states as it likes."""
    return bool(_page(Wanted(names=[state], pools=[POOL], deployed=False), limit=1))


def _wanted(asked: JobFilter, only: tuple[str, ...], now: datetime) -> Wanted:
    if asked.state in WORDS:
        wanted = narrowed(asked.state, now)
    elif asked.state is not None:
        wanted = Wanted(names=[asked.state], deployed=False)
    else:
        wanted = Wanted(types=sorted({kind for word in only for kind in WORDS[word]}), deployed=False)
        if only == tuple(WORDS):
            wanted = Wanted(deployed=False)
    return replace(
        wanted,
        pools=[POOL],
        jobs=[asked.job] if asked.job else (),
        queues=[asked.queue] if asked.queue else (),
        expected_after=asked.since,
    )


def _fits(asked: JobFilter, only: tuple[str, ...], now: datetime) -> Callable[[Run], bool]:
    by_word = asked.state in WORDS
    with_schedules = asked.scheduled or asked.state == "scheduled"

    def fits(run: Run) -> bool:
        word = word_of(run, now)
        if by_word and word != asked.state:
            return False
        if word == "scheduled" and run.auto_scheduled and not with_schedules:
            return False
        return word in only or word not in WORDS

    return fits


def _read(wanted: Wanted, fits: Callable[[Run], bool]) -> Iterator[Run]:
    for page in runs.pages(wanted, Order.LATEST):
        yield from filter(fits, page)


def _page(wanted: Wanted, *, limit: int) -> list[Run]:
    return runs.page(wanted, Order.LATEST, limit=limit).runs


def _by_prefix(prefix: str) -> list[Run]:
    if len(prefix) < PREFIX_LENGTH:
        return []
    matches: list[Run] = []
    searched = 0
    for page in runs.pages(Wanted(deployed=False), Order.LATEST):
        matches += [run for run in page if str(run.id).startswith(prefix.lower())]
        searched += len(page)
        if searched >= SEARCHED:
            break
    return matches
