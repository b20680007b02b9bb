"""What `redrive top` puts on the screen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from rich.console import Console

from redrive.blocks.core.errors import ParameterError
from redrive.blocks.process.worker_report import SlotReport, WorkerReport
from redrive.deployments.dead_letters.ledger import Group
from redrive.deployments.health.keeper_health import KeeperHealth, LateDuty
from redrive.deployments.health.top import Pace, Top, Worker, workers
from redrive.deployments.jobs.details import Job
from redrive.deployments.queues import QueueState
from redrive.infra.cli.output import _plain
from redrive.infra.cli.top import top_command
from redrive.infra.cli.top_frame import frame

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def a_queue(name: str, **facts: Any) -> QueueState:
    given = {"priority": 1, "paused": False, "limit": None, "waiting": 0, "scheduled": 0, "retrying": 0, "running": 0}
    return QueueState(name=name, **(given | facts))


def a_report(name: str, *jobs: str, slots: int = 4, **facts: Any) -> WorkerReport:
    busy = tuple(
        SlotReport(
            run_id=str(uuid4()), job=job, queue="high", attempt=2, since=(NOW - timedelta(seconds=75)).isoformat()
        )
        for job in jobs
    )
    return WorkerReport(
        name=name,
        pool="jobs",
        type="warm",
        host="host-a",
        pid=7,
        started=NOW.isoformat(),
        slots=slots,
        busy=busy,
        **facts,
    )


def a_job(worker: str | None, job: str = "mail") -> Job:
    return Job(
        id=uuid4(), name="n", job=job, queue="low", state="Running", message=None, due=NOW, started=NOW, ended=None,
        seconds=0, tries=0, crashes=0, key=None, worker=worker, parameters={}, since=NOW - timedelta(seconds=5),
    )  # fmt: skip


def a_group(count: int, message: str = "the server\nhung up") -> Group:
    by_status = {"open": count, "redriven": 0, "resolved": 0, "discarded": 0}
    return Group(
        fingerprint="1f9449e13a03", error_type="lib.ConnectionError", message=message, sample_id=uuid4(), count=count,
        by_status=by_status, jobs=("mail",), queues=("high",), first_seen=NOW, last_seen=NOW - timedelta(minutes=3),
    )  # fmt: skip


def a_top(**facts: Any) -> Top:
    given: dict[str, Any] = {
        "at": NOW, "queues": (a_queue("high"),), "workers": (), "dead": (), "open_dead": 0,
        "keeper": KeeperHealth(healthy=True, summary="all 6 duties are done in time"),
        "pace": (Pace(minutes=1, done=42.0, failed=1.0), Pace(minutes=15, done=31.5, failed=0.0)),
    } | facts  # fmt: skip
    return Top(**given)


def shown(top: Top, *, jobs: int = 20, width: int = 100) -> str:
    console = Console(width=width, record=True, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(frame(top, jobs=jobs))
    return captured.get()


def test_workers_that_report_come_with_slots_and_others_with_the_jobs_that_carry_their_name() -> None:
    known = a_report("w-1", "mail")
    told_by_both = a_job("w-1")

    found = workers([known], ["w-1", "w-2", "w-3"], [told_by_both, a_job("w-2"), a_job(None)])

    assert [(worker.name, worker.slots, len(worker.busy)) for worker in found] == [
        ("w-1", 4, 1), ("w-2", None, 1), ("w-3", None, 0), ("(no worker signed)", None, 1),
    ]  # fmt: skip


def test_each_slot_says_which_job_and_for_how_long() -> None:
    (worker,) = workers([a_report("w-1", "mail", "sync")], [], [])

    text = shown(a_top(workers=(worker,)))

    assert "2/4 ■■··" in text
    assert "75 s" in text
    assert "sync" in text


def test_a_queue_says_how_long_its_oldest_job_waits_and_that_it_is_paused() -> None:
    queue = a_queue("low", waiting=1234, oldest=NOW - timedelta(minutes=7), paused=True)

    (line,) = [line for line in shown(a_top(queues=(queue,))).splitlines() if line.startswith("low")]

    assert line.split() == ["low", "1,234", "7", "min", "0", "0", "0", "paused"]


def test_causes_come_on_one_line_each_and_the_rest_is_counted() -> None:
    text = shown(a_top(dead=(a_group(7, "the server\nhung up" + " and again" * 50),), open_dead=10))

    (line,) = [line for line in text.splitlines() if line.startswith("1f9449e13a03")]
    assert line.split()[:5] == ["1f9449e13a03", "7", "mail", "3", "min"]
    assert "ConnectionError: the server hung up" in line
    assert "3 more of other causes" in text


def test_more_jobs_than_lines_are_counted_instead_of_shown() -> None:
    busy = workers([a_report("w-1", *["mail"] * 30, slots=30)], [], [])

    text = shown(a_top(workers=tuple(busy)), jobs=4)

    assert text.count("mail") == 4
    assert "26 more" in text


def test_no_worker_is_reported_loudly() -> None:
    assert "no worker is online: jobs wait" in shown(a_top())


def test_what_could_not_be_asked_is_reported_and_the_rest_stands() -> None:
    text = shown(
        a_top(dead=None, open_dead=None, missing=("Redis is away",), workers=(Worker(name="w", slots=None, busy=()),))
    )

    assert "Redis is away" in text
    assert "42.0 done/min" in text
    assert "dead letters" not in text


def test_job_types_beyond_their_budgets_are_reported_in_a_sentence_each() -> None:
    over = ("One job in twenty of sync runs 90 s or longer in the last 1h; the budget is 30s.", "mail fails too often.")

    lines = shown(a_top(over_budget=over), width=120).splitlines()

    assert [line.strip() for line in lines if line.strip() in over] == list(over)


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_longer_than_a_narrow_terminal(width: int) -> None:
    (worker,) = workers([a_report("some-host-with-a-long-name-4f5a6b7c", "dead-letter-review")], [], [])

    text = shown(
        a_top(workers=(worker,), dead=(a_group(7, "x" * 300),), open_dead=7, keeper=a_late_keeper()), width=width
    )

    assert max(len(line) for line in text.splitlines()) <= width


def a_late_keeper() -> KeeperHealth:
    late = LateDuty(duty="rescue", age=200, since=NOW - timedelta(seconds=200), error=None)
    return KeeperHealth(healthy=False, summary="rescue was not done for 3 min", late=(late,))


def test_the_keeper_is_one_line_that_says_which_duty_is_late() -> None:
    def line(keeper: KeeperHealth) -> str:
        (found,) = [line for line in shown(a_top(keeper=keeper)).splitlines() if line.startswith("keeper")]
        return found

    assert line(KeeperHealth(healthy=True, summary="all is done")).split() == ["keeper", "ok"]
    assert line(a_late_keeper()).split() == ["keeper", "late:", "rescue", "3", "min", "(`redrive", "check`)"]
    assert "none has ever worked" in line(KeeperHealth(healthy=False, summary="no keeper"))


def test_looking_without_a_pause_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"give 0\.5 seconds or more"):
        top_command(every=0.01)


def test_json_has_every_part_as_an_object() -> None:
    told = _plain(a_top(workers=tuple(workers([a_report("w-1", "mail")], [], [])), dead=(a_group(7),), open_dead=7))

    assert told["queues"][0]["name"] == "high"
    assert told["workers"][0]["busy"][0]["job"] == "mail"
    assert told["dead"][0]["error_type"] == "lib.ConnectionError"
    assert told["keeper"] == {"healthy": True, "summary": "all 6 duties are done in time", "late": []}


def test_cause_says_who_cares_for_its_jobs_where_somebody_does() -> None:
    dead = {"dead": (a_group(3),), "open_dead": 3}

    assert "OWNER" not in shown(a_top(**dead))
    text = shown(a_top(**dead, owners={"mail": "postmaster"}))
    assert "OWNER" in text
    assert "postmaster" in text
