"""The server's own filter calls find and count the same runs as Prefect's, and leave to Prefect what they do not know."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from redrive.blocks.prefect import runs
from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.paging import Order, Place, page
from redrive.blocks.prefect.request import Json
from redrive.blocks.prefect.requests import fast, queues
from redrive.blocks.prefect.requests import runs as requests
from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.server_clock import SERVER_CLOCK
from redrive.blocks.prefect.trail import trail_of
from redrive.blocks.prefect.wanted import Wanted
from redrive.deployments.enqueue import enqueue
from redrive.deployments.job_result import result_of
from redrive.deployments.jobs.actions import cancel_job
from redrive.deployments.jobs.artifacts import left_by
from redrive.deployments.jobs.logs import log_of
from redrive.deployments.queues import pause_queue
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack

#: Runs of a page.
PAGE = 50


@pytest.fixture
def some_jobs(job_stack: JobStack) -> list[Run]:
    """A job that completed, one that died, one that waits for another hour, one that was cancelled."""
    folder = str(job_stack.folder("find"))
    asked = [
        enqueue("test-ok", {"folder": folder, "name": "Zoë \x1b"}).id,
        enqueue("test-permanent", {"folder": folder}).id,
        enqueue("test-ok", {"folder": folder}, delay=3600, queue="low", tags=["one", "two"]).id,
        enqueue("test-ok", {"folder": folder}, delay=3600, key=f"find-{uuid4()}").id,
    ]
    cancel_job(asked[3])

    def settled() -> list[Run] | None:
        found = runs.by_id(asked)
        ended = all(found[one].state_type in {"COMPLETED", "FAILED", "CANCELLED"} for one in (*asked[:2], asked[3]))
        return list(found.values()) if ended else None

    found = wait_until(settled, 60, "the jobs to end")
    assert found
    return found


def both(wanted: Wanted, order: Order, *, after: Place | None = None, limit: int = PAGE) -> tuple[Any, Any]:
    """What Prefect's own call answers, and what ours does: each as `Run` reads it, with what it says of the next page."""
    asked = page(wanted, order, after=after, limit=limit)
    theirs = ask(asked)
    raw = ask(fast.find(asked.body))
    assert raw is not None
    ours = asked.read(raw)
    return (_read(theirs.runs), theirs.next), (_read(ours.runs), ours.next)


def _read(raw: list[Json]) -> list[Run]:
    # How long a job runs goes on between two calls.
    return [replace(Run.of(one, job="any"), ran_so_far=0.0) for one in raw]


def filters(some: list[Run], now: datetime) -> dict[str, tuple[Wanted, Order]]:
    ids, names = [run.id for run in some], [run.name for run in some]
    lately = now - timedelta(hours=2)
    return {
        "these": (Wanted(ids=ids), Order.EXPECTED),
        "names": (Wanted(run_names=names, deployed=False), Order.LATEST),
        "scheduled": (Wanted(types=["SCHEDULED"], pools=["jobs"], expected_after=lately), Order.LATEST),
        "due later": (Wanted(types=["SCHEDULED"], due_after=now, pools=["jobs"]), Order.DUE),
        "dead": (Wanted(types=["FAILED"], names=["DeadLetter"], jobs=["test-permanent"]), Order.LATEST),
        "not dead": (Wanted(ids=ids, not_names=["DeadLetter"]), Order.LATEST),
        "ended": (Wanted(ids=ids, ended_after=lately, ended_before=now + timedelta(hours=1)), Order.ENDED),
        "of a queue": (Wanted(ids=ids, queues=["low"], pools=["jobs"]), Order.LATEST),
        "of no queue": (Wanted(queues=["there-is-none"], pools=["jobs"]), Order.LATEST),
        "of no job type": (Wanted(jobs=["there-is-none"]), Order.LATEST),
    }


def test_page_and_count_are_what_prefects_own_calls_answer(some_jobs: list[Run]) -> None:
    # Of housekeeping and of other tests something may begin or end between two calls.
    for name, (wanted, order) in filters(some_jobs, SERVER_CLOCK.now()).items():
        wait_until(lambda w=wanted, o=order: _same(both(w, o)), 20, f"both calls to find the same: {name}")
        wait_until(lambda w=wanted: _same_count(w), 20, f"both calls to count the same: {name}")


def _same(answers: tuple[Any, Any]) -> bool:
    (theirs, _), (ours, _) = answers
    return _times(theirs) == _times(ours) and _whatever_the_order_of_ties(theirs) == _whatever_the_order_of_ties(ours)


def _times(found: list[Run]) -> list[Any]:
    return [(run.expected_start, run.end_time) for run in found]


def _whatever_the_order_of_ties(found: list[Run]) -> list[Run]:
    """Schedules of other tests make runs for the same second. Of those at the end of a full page, each call may show others."""
    last = found[-1].expected_start if len(found) == PAGE else None
    return sorted((run for run in found if last is None or run.expected_start != last), key=lambda run: run.id)


def _same_count(wanted: Wanted) -> bool:
    return ask(requests.count(wanted.body())) == ask(fast.count(wanted.body()))


def test_pages_go_on_where_prefects_would(some_jobs: list[Run]) -> None:
    wanted, seen = Wanted(ids=[run.id for run in some_jobs]), []
    place = None
    for _ in some_jobs:
        (theirs, next_theirs), (ours, next_ours) = both(wanted, Order.LATEST, after=place, limit=1)
        assert (theirs, next_theirs) == (ours, next_ours)
        seen += ours
        place = next_ours

    assert {run.id for run in seen} == {run.id for run in some_jobs}


@pytest.mark.parametrize(
    "body",
    [
        {"flow_runs": {"tags": {"all_": ["one"]}}},
        {"flow_runs": {"state": {"type": {"not_any_": ["FAILED"]}}}},
        {"flow_runs": {"name": {"like_": "x"}}},
        {"deployments": {"name": {"any_": ["test-ok"]}}},
        {"work_pools": {"type": {"any_": ["process"]}}},
        {"sort": "NAME_ASC"},
        {"limit": 10_000},
    ],
)
def test_filter_that_is_not_known_is_left_to_prefect(job_stack: JobStack, body: dict[str, Any]) -> None:
    assert ask(fast.find(body)) is None


def test_server_without_the_calls_is_asked_prefects_own(some_jobs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Wanted(ids=[run.id for run in some_jobs])
    with_them = runs.page(wanted, Order.LATEST).runs, runs.count(wanted), runs.by_id(wanted.ids)

    monkeypatch.setattr(fast, "FIND", "/redrive/9/find")
    monkeypatch.setattr(fast, "COUNT", "/redrive/9/count")
    monkeypatch.setattr(fast.ABSENCE, "until", 0.0)

    assert (runs.page(wanted, Order.LATEST).runs, runs.count(wanted), runs.by_id(wanted.ids)) == with_them
    assert not fast.may_be_there()


def test_states_artifacts_and_log_are_what_prefects_own_calls_return(
    some_jobs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in some_jobs:
        # The last lines of a log come with the end of its process.
        log = wait_until(
            lambda one=run: list(log_of(one.id)) or one.state_type in {"SCHEDULED", "CANCELLED"}, 30, "a log"
        )
        ours, result = left_by(run.id), result_of(trail_of(run.id, most=20).states[-1])
        with monkeypatch.context() as plain:
            plain.setattr(fast.ABSENCE, "until", float("inf"))
            theirs, their_result = left_by(run.id), result_of(trail_of(run.id, most=20).states[-1])
            their_log = list(log_of(run.id))
        assert [replace(one, raw={}) for one in ours.history] == [replace(one, raw={}) for one in theirs.history]
        assert (ours.artifacts, ours.tries) == (theirs.artifacts, theirs.tries)
        assert result == their_result
        assert log is True or {line.id for line in log} <= {line.id for line in their_log}


def test_queues_of_one_moment_are_what_prefects_own_calls_count(some_jobs: list[Run]) -> None:
    running = Wanted(types=["RUNNING", "PENDING"], pools=["jobs"], deployed=False)
    pause_queue("low", paused=True)
    due = enqueue("test-ok", {"folder": "/nowhere"}, queue="low").id

    def both() -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        found = runs.snapshot("jobs", running, Order.EXPECTED, limit=PAGE)
        assert found is not None
        kinds = ("priority", "is_paused", "concurrency_limit", "running", "waiting", "retrying", "scheduled")
        ours = {str(one["name"]): [one[kind] for kind in kinds] for one in found[0]}
        theirs = {}
        for one in ask(queues.of_pool("jobs")):
            here = replace(running, queues=[one["name"]])
            due, now = replace(here, types=["SCHEDULED"]), SERVER_CLOCK.now()
            later = replace(due, due_after=now, not_names=["AwaitingRetry"])
            wanted = (here, replace(due, due_before=now), replace(due, names=["AwaitingRetry"]), later)
            theirs[str(one["name"])] = [
                *[one[kind] for kind in kinds[:3]],
                *[ask(requests.count(each.body())) for each in wanted],
            ]
        return ours, theirs

    try:
        # Jobs of other tests may go on between two calls.
        ours = wait_until(lambda: (found := both())[0] == found[1] and found[0], 60, "both to count the same")
        assert ours
        assert ours["low"][4] >= 1
        assert ours["low"][6] >= 1
    finally:
        cancel_job(due)
        pause_queue("low", paused=False)
