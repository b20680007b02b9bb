"""The `redrive jobs` commands against real jobs: what they show, what they change, and who was quicker."""

from __future__ import annotations

import json
import math
import re
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import StateType
from prefect.states import Scheduled

from redrive.blocks.core.errors import Conflict, NotFound, ParameterError
from redrive.blocks.core.exit_codes import ExitCode, exit_code_of
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.requests import fast
from redrive.blocks.prefect.run import Run
from redrive.deployments.enqueue import enqueue, enqueue_many, wait_for
from redrive.deployments.jobs import actions as job_actions
from redrive.deployments.jobs.artifacts import left_by
from redrive.deployments.jobs.details import cancel_job, list_jobs, rerun_job, retry_now, show_job
from redrive.infra.cli import jobs_acts
from redrive.infra.cli.main import app
from tests.support.console import client
from tests.support.hostile import HOSTILE, steers
from tests.support.job_stack import JobStack, effects
from tests.support.prefect_client import api
from tests.support.waiting import wait_until

PATIENCE = 120.0
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
OURS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class Commands:
    """`redrive` in this process: what it printed, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.code: int = 0

    def __call__(self, *arguments: str) -> str:
        self._capsys.readouterr()
        self.code = app(arguments) or 0
        return self._capsys.readouterr().out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def redrive(job_stack: JobStack, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(capsys)


def test_what_a_job_logged_and_printed_is_shown_once_and_in_order(redrive: Commands) -> None:
    job = enqueue("test-chatty", {"lines": 450})
    wait_for(job.id, timeout=PATIENCE)
    # What a step prints is in the log, and its last batch comes with the end of the process.
    wait_until(lambda: "line 449" in redrive("jobs", "logs", str(job.id)), PATIENCE, "the last line")

    lines = [line.split()[-1] for line in redrive("jobs", "logs", str(job.id)).splitlines() if " line " in line]

    assert lines == [str(number) for number in range(450)]
    assert " line " not in redrive("jobs", "logs", str(job.id), "--level", "warning")
    told = [json.loads(line) for line in redrive("jobs", "logs", str(job.id), "--json").splitlines()]
    assert {line["level"] for line in told} >= {"INFO"}
    assert sum(line["message"].startswith("line ") for line in told) == 450


def test_a_log_is_followed_from_before_the_start_to_the_end(redrive: Commands) -> None:
    job = enqueue("test-chatty", {"lines": 3, "seconds": 2}, delay=2)

    printed = redrive("jobs", "logs", str(job.id), "--follow")

    assert redrive.code == ExitCode.OK
    assert printed.count("line 2") == 1
    assert show_job(job.id)[0].state == "Completed"


def test_ctrl_c_leaves_a_followed_log_and_the_job_goes_on(job_stack: JobStack) -> None:
    job = enqueue("test-chatty", {"lines": 1, "seconds": 300})
    following = job_stack.begin("jobs", "logs", str(job.id), "--follow")
    assert following.stdout is not None
    assert following.stdout.readline(), "a line came"

    following.send_signal(signal.SIGINT)
    _, said = following.communicate(timeout=PATIENCE)

    assert following.returncode == ExitCode.INTERRUPTED
    assert said == ""
    assert show_job(job.id)[0].status in {"starting", "running"}
    cancel_job(job.id)


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
    monkeypatch.setattr(fast, "_absent_until", [math.inf])
    assert left_by(job.id).tries == ours


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


def test_of_several_ids_each_is_told_of(redrive: Commands) -> None:
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


def test_times_in_json_have_one_form(job_stack: JobStack, redrive: Commands) -> None:
    dead = enqueue("test-hostile", {"text": "x"})
    wait_for(dead.id, timeout=PATIENCE)
    job_stack.dead_letter(dead.id)
    later = redrive("enqueue", "test-crowd", "--in", "1h", "--json")
    printed = [
        later,
        *(
            redrive(*arguments, "--json")
            for arguments in (
                ("jobs", "list"),
                ("jobs", "show", str(dead.id)),
                ("jobs", "logs", str(dead.id)),
                ("jobs", "cancel", json.loads(later)["id"]),
                ("dead", "list"),
                ("dead", "groups"),
                ("dead", "show", str(dead.id)),
                ("queues", "list"),
                ("status",),
                ("top",),
            )
        ),
    ]

    found = [text for one in printed for text in re.findall(r'"([^"]*)"', one) if ISO.match(text)]
    assert len(found) > 10
    assert [text for text in found if not OURS.fullmatch(text)] == []


def test_nothing_a_job_says_steers_the_terminal(job_stack: JobStack, redrive: Commands) -> None:
    text = " ".join(HOSTILE).replace("\x00", "").encode("utf-8", "replace").decode()
    dead = enqueue("test-hostile", {"text": text})
    wait_for(dead.id, timeout=PATIENCE)
    api().request("PATCH", "/flow_runs/{id}", path_params={"id": dead.id}, json={"name": text[:200]})
    row = job_stack.dead_letter(dead.id)
    wait_until(lambda: "[red]rich" in redrive("jobs", "logs", str(dead.id)), PATIENCE, "its log to arrive")

    def check(*arguments: str) -> None:
        shown, told = redrive(*arguments), redrive(*arguments, "--json")
        assert steers(shown + told) == [], arguments
        assert "[red]rich[/red]" in shown + told, f"{arguments}: the words stay"

    check("top")
    check("jobs", "list", "--limit", "500")
    check("jobs", "show", str(dead.id))
    check("jobs", "logs", str(dead.id))
    check("dead", "list")
    check("dead", "groups")
    with job_stack.ledger() as ledger:
        ledger.discard(row.id, who=text[:50], why=text)
    check("dead", "show", str(row.id))
    assert text in redrive.json("jobs", "show", str(dead.id))["job"]["parameters"].values()


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[Run], object]) -> None:
    """Let something happen to a job after it was read and before it is changed."""
    find, done = job_actions.find_job, []

    def found(reference: str | UUID) -> Run:
        run = find(reference)
        if not done:
            done.append(happens(run))
        return run

    monkeypatch.setattr(job_actions, "find_job", found)


def test_a_claim_is_quicker_than_retry_now(job_stack: JobStack, monkeypatch: pytest.MonkeyPatch) -> None:
    job = enqueue("test-chatty", {"lines": 1, "seconds": 300}, delay=3600)

    def is_claimed(run: Run) -> None:
        api().set_flow_run_state(run.id, Scheduled(scheduled_time=datetime.now(UTC)))
        wait_until(lambda: show_job(run.id)[0].status == "running", PATIENCE, "a worker to take it")

    meanwhile(monkeypatch, is_claimed)

    with pytest.raises(Conflict, match=r"worker .* was quicker, it is Running") as caught:
        retry_now(job.id, who="ada")

    assert exit_code_of(caught.value) == ExitCode.CONFLICT
    assert [state.type for state in show_job(job.id)[1]][-1] == StateType.RUNNING, "the claim holds"
    cancel_job(job.id)


def test_a_completion_is_quicker_than_a_cancel(redrive: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    job = enqueue("test-chatty", {"lines": 1, "seconds": 3})
    wait_until(lambda: show_job(job.id)[0].status == "running", PATIENCE, "it to run")
    meanwhile(monkeypatch, lambda run: wait_for(run.id, timeout=PATIENCE))

    with pytest.raises(Conflict, match="ended in the meantime: Completed"):
        redrive("jobs", "cancel", str(job.id))

    after = show_job(job.id)[0]
    assert (after.state, after.cancelled_by) == ("Completed", None)


def test_a_cancel_follows_a_job_that_went_to_wait_for_its_next_try(
    job_stack: JobStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = job_stack.folder("cancel-follows")
    job = enqueue("test-fail", {"folder": str(folder)})
    wait_until(lambda: show_job(job.id)[0].status == "running", PATIENCE, "it to run")

    def goes_to_wait(run: Run) -> None:
        wait_until(lambda: show_job(run.id)[0].status == "retrying", PATIENCE, "it to wait")

    meanwhile(monkeypatch, goes_to_wait)

    cancelled = cancel_job(job.id, who="ada")

    assert cancelled.state == "Cancelled", "what waits is cancelled at once"
    assert len(effects(folder, "fail")) == 2


def test_a_cancel_while_a_job_goes_to_wait_is_not_undone(job_stack: JobStack) -> None:
    folder = job_stack.folder("cancel-stays")
    jobs = [enqueue("test-fail", {"folder": str(folder / str(number))}) for number in range(4)]
    # Each is cancelled about when its second try failed, when it proposes to wait: before, after or in the middle.
    for number, job in enumerate(jobs):
        wait_until(lambda number=number: len(effects(folder / str(number), "fail")) >= 2, PATIENCE, "two tries")  # type: ignore[misc]
        cancel_job(job.id, who="ada")

    for job in jobs:
        wait_until(lambda job=job: show_job(job.id)[0].state == "Cancelled", PATIENCE, "it to be cancelled")  # type: ignore[misc]
    assert [len(effects(folder / str(number), "fail")) for number in range(4)] == [2] * 4
