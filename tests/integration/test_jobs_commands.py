"""The `redrive jobs` commands against real jobs: what they show, what they change, and who was quicker."""

from __future__ import annotations

import math
import re
import signal
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from redrive.blocks.core.errors import Conflict, NotFound, ParameterError
from redrive.blocks.core.exit_codes import ExitCode
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.requests import fast
from redrive.deployments.enqueue import enqueue, enqueue_many, wait_for
from redrive.deployments.jobs.artifacts import left_by
from redrive.deployments.jobs.details import cancel_job, list_jobs, rerun_job, show_job
from redrive.infra.cli import jobs_acts
from tests.support.commands import Commands
from tests.support.console import client
from tests.support.job_stack import JobStack, effects
from tests.support.waiting import wait_until

PATIENCE = 120.0


def test_ctrl_c_while_waiting_says_that_the_job_goes_on(job_stack: JobStack) -> None:
    waiting = job_stack.begin("enqueue", "test-crowd", "--in", "1h", "--wait")
    assert waiting.stdout is not None
    job_id = waiting.stdout.readline().split()[-1]

    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=PATIENCE)

    assert waiting.returncode == ExitCode.INTERRUPTED, said
    assert said.count("\n") == 1
    assert f"goes on; see how it is with `redrive jobs show {job_id}`" in said
    assert show_job(job_id)[0].state == "Scheduled"
    cancel_job(job_id)


def test_show_has_the_result_and_a_link(redrive: Commands) -> None:
    job = enqueue("test-crowd", {"number": 7})
    wait_for(job.id, timeout=PATIENCE)

    shown = redrive("jobs", "show", str(job.id))
    told = redrive.json("jobs", "show", str(job.id))

    assert re.search(r"^  result +7$", shown, re.MULTILINE)
    assert settings().run_url(job.id) in shown
    assert (told["result"], told["result_unreadable"]) == (7, None)


def test_a_running_job_shows_how_long_it_runs(redrive: Commands) -> None:
    job = enqueue("test-chatty", {"lines": 1, "seconds": 300})
    wait_until(lambda: show_job(job.id)[0].status == "running", PATIENCE, "the job to run")

    first = show_job(job.id)[0].seconds
    wait_until(lambda: show_job(job.id)[0].seconds > first, PATIENCE, "its time to grow")

    assert "runs for" in redrive("jobs", "show", str(job.id))
    assert "is being stopped" in redrive("jobs", "cancel", str(job.id), "--who", "ada", "--why", "wrong month")
    wait_until(lambda: show_job(job.id)[0].state == "Cancelled", PATIENCE, "the job to be cancelled")
    assert re.search(r"cancelled by +ada: wrong month", redrive("jobs", "show", str(job.id)))


def test_tries_that_a_job_waited_after_in_its_process_are_in_its_history(
    job_stack: JobStack, redrive: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = enqueue("test-flaky", {"folder": str(job_stack.folder("tries")), "good_at": 2})
    wait_for(job.id, timeout=PATIENCE)

    # The server writes down what a step did a moment later.
    tries = wait_until(lambda: redrive.json("jobs", "show", str(job.id))["tries"], PATIENCE, "the try to be known")
    assert tries is not None
    assert [one["step"] for one in tries] == ["flaky_step"]
    shown = redrive("jobs", "show", str(job.id))
    assert re.search(r"Running.*try failed +in step flaky_step; the next after .*Completed", shown, re.DOTALL)
    with client(job_stack, role="viewer") as viewer:
        assert re.search(r"<b>A try failed</b>.*in step flaky_step", viewer.get(f"/jobs/{job.id}").text, re.DOTALL)
    ours = left_by(job.id).tries
    monkeypatch.setattr(fast.ABSENCE, "until", math.inf)
    # Prefect's own calls tell of a try once the next one is written down.
    wait_until(lambda: left_by(job.id).tries == ours, PATIENCE, "Prefect's own calls to tell the same")


def test_a_cancel_names_who_and_why(redrive: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    job = enqueue("test-crowd", delay=3600)
    monkeypatch.setenv("REDRIVE_ACTOR", "grace")
    settings.cache_clear()

    told = redrive.json("jobs", "cancel", str(job.id), "--why", "not needed")

    assert (told["state"], told["cancelled_by"], told["cancel_reason"]) == ("Cancelled", "grace", "not needed")
    assert show_job(job.id)[0].message == "cancelled by grace: not needed"


def test_a_job_that_completed_or_was_cancelled_runs_again_as_a_new_one(redrive: Commands) -> None:
    first = enqueue("test-crowd", {"number": 3}, key=f"rerun-{datetime.now(UTC).timestamp()}", queue="low")
    wait_for(first.id, timeout=PATIENCE)

    again = redrive.json("jobs", "rerun", str(first.id), "--who", "ada")
    cancelled = enqueue("test-crowd", {"number": 4}, delay=3600)
    cancel_job(cancelled.id)
    after_cancel = rerun_job(cancelled.id, who="ada")

    assert again["run_id"] != str(first.id)
    wait_for(UUID(again["run_id"]), timeout=PATIENCE)
    old, new = show_job(first.id)[0], show_job(again["run_id"])[0]
    assert (new.parameters, new.queue, new.rerun_of, new.key) == ({"number": 3}, "low", first.id, None)
    assert old.rerun_as == new.id
    assert show_job(after_cancel.run_id)[0].parameters == {"number": 4}


def test_a_dead_job_runs_again_as_itself_and_one_that_waits_is_refused(job_stack: JobStack, redrive: Commands) -> None:
    folder = job_stack.folder("rerun")
    dead = enqueue("test-fail-once", {"folder": str(folder), "message": "not yet"})
    wait_for(dead.id, timeout=PATIENCE)
    job_stack.dead_letter(dead.id)
    (folder / "mended").touch()

    assert redrive.json("jobs", "rerun", str(dead.id))["run_id"] == str(dead.id)
    wait_until(lambda: effects(folder, "mended-runs"), PATIENCE, "the redriven job to run")

    waiting = enqueue("test-crowd", delay=3600)
    with pytest.raises(Conflict, match="has not ended"):
        redrive("jobs", "rerun", str(waiting.id))
    cancel_job(waiting.id)


def test_many_are_cancelled_and_run_again_by_a_filter(redrive: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    for old in list_jobs(job="test-crowd", limit=500):
        if old.status in {"scheduled", "waiting"}:
            cancel_job(old.id)
    made = {str(one.id) for one in enqueue_many("test-crowd", [{"number": n} for n in range(12)], delay=3600)}
    which = ("--job", "test-crowd", "--state", "scheduled")

    with pytest.raises(ParameterError, match="that is 12 jobs: say --yes"):
        redrive("jobs", "cancel", *which)
    assert {one["id"] for one in redrive.json("jobs", "cancel", *which, "--dry-run")["would_cancel"]} == made
    assert redrive("jobs", "cancel", *which, "--limit", "1") == "1 of 1 job is cancelled\n"
    told = redrive.json("jobs", "cancel", *which, "--yes")

    assert told == {"matched": 11, "cancelled": 11, "refused": [], "stopped": False}
    assert {show_job(one)[0].status for one in made} == {"cancelled"}
    monkeypatch.setattr(jobs_acts, "CAP", 5)
    with pytest.raises(ParameterError, match="more than 5 jobs fit"):
        redrive("jobs", "rerun", "--job", "test-crowd", "--state", "cancelled", "--yes")
    with pytest.raises(ParameterError, match="say which jobs that ended"):
        redrive("jobs", "rerun", "--job", "test-crowd")
    assert redrive("jobs", "rerun", "--job", "test-crowd", "--state", "cancelled", "--since", "2h", "--limit", "2") == (
        "2 of 2 jobs run again\n"
    )


def test_of_several_ids_each_is_reported(redrive: Commands) -> None:
    waiting = enqueue("test-crowd", delay=3600)
    done = enqueue("test-crowd")
    wait_for(done.id, timeout=PATIENCE)

    told = redrive.json("jobs", "cancel", str(done.id), str(waiting.id))

    assert redrive.code == ExitCode.CONFLICT
    assert (told["matched"], told["cancelled"]) == (2, 1)
    assert [one["id"] for one in told["refused"]] == [str(done.id)]
    assert "has ended already: Completed" in told["refused"][0]["reason"]


def test_every_state_that_is_printed_is_taken(redrive: Commands) -> None:
    wait_for(enqueue("test-crowd").id, timeout=PATIENCE)
    later = enqueue("test-crowd", delay=3600)
    told = redrive.json("jobs", "list", "--limit", "500")

    assert {one["status"] for one in told} >= {"completed", "scheduled"}
    for one in told:
        for state in (one["status"], one["state"]):
            found = redrive.json("jobs", "list", "--state", state, "--job", one["job"], "--limit", "500")
            assert one["id"] in {each["id"] for each in found} or show_job(one["id"])[0].state != one["state"]
    cancel_job(later.id)


def test_future_schedules_are_listed_only_when_asked_for(redrive: Commands) -> None:
    def scheduled() -> list[Any]:
        return [
            one for one in redrive.json("jobs", "list", "--scheduled", "--job", "sync") if one["status"] == "scheduled"
        ]

    wait_until(scheduled, PATIENCE, "Prefect's scheduler to make the next runs")

    assert [one for one in redrive.json("jobs", "list", "--job", "sync") if one["status"] == "scheduled"] == []
    assert redrive.json("jobs", "list", "--state", "scheduled", "--job", "sync")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("jobs", "list", "--state", "runing"), "did you mean 'running'?"),
        (("jobs", "list", "--job", "test-crwd"), "did you mean 'test-crowd'?"),
        (("jobs", "list", "--queue", "defualt"), "did you mean 'default'?"),
        (("jobs", "list", "--limit", "-1"), "give 1 or more"),
        (("jobs", "list", "--limit", "0"), "give 1 or more"),
        (("jobs", "list", "--since", "yesterday"), "--since 'yesterday' is no time"),
        (("jobs", "logs", "x", "--level", "warn"), "did you mean 'WARNING'?"),
        (("dead", "list", "--reason", "permanant"), "did you mean 'permanent'?"),
        (("dead", "list", "--job", "test-crwd"), "did you mean 'test-crowd'?"),
        (("dead", "list", "--status", "opened"), "did you mean 'open'?"),
        (("dead", "list", "--queue", "defualt"), "did you mean 'default'?"),
        (("dead", "list", "--limit", "-5"), "give 1 or more"),
        (("dead", "groups", "--reason", "crashed"), "did you mean 'crash'?"),
        (("dead", "redrive", "--reason", "crashed"), "did you mean 'crash'?"),
        (("dead", "discard", "--job", "test-crwd"), "did you mean 'test-crowd'?"),
        (("enqueue", "test-crowd", "--at", "2020-01-01T00:00"), "lies in the past"),
        (("enqueue", "test-crowd", "--in", "99999999999d"), "longer than any calendar"),
        (("queues", "pause", "defualt"), "did you mean 'default'?"),
        (("jobs", "cancel", "--job", "test-crowd", "--state", "completed"), "not to be cancelled"),
        (("jobs", "cancel", "--job", ""), "say which"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(redrive: Commands, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises((ParameterError, NotFound)) as caught:
        redrive(*arguments)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
