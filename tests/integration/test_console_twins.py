"""What people keep in the console, the command line keeps too: views, notes, the record; and it finds jobs by the same filter."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import pytest

from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue, enqueue_many
from tests.support.console import PATIENCE, client, token_of
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.stack


def found(stack: JobStack, *arguments: str) -> set[str]:
    return {one["id"] for one in json.loads(stack.redrive("jobs", "find", *arguments, "--json").stdout)}


@pytest.fixture
def waiting(job_stack: JobStack) -> UUID:
    """A job of one folder, due in an hour."""
    return enqueue("test-ok", {"folder": "/two words", "name": "twins"}, delay=3600).id


@pytest.mark.slow
def test_jobs_are_found_by_the_filter_of_the_console(job_stack: JobStack, waiting: UUID) -> None:
    assert str(waiting) in found(job_stack, "job:test-ok", "state:scheduled", "param.name:twins")
    assert str(waiting) in found(job_stack, "param.folder:/two words", "state:scheduled")
    assert str(waiting) not in found(job_stack, "param.name:nobody", "state:scheduled")
    refused = job_stack.redrive("jobs", "find", "state:ded", check=False)
    assert refused.returncode == 2
    assert "dead" in refused.stderr


@pytest.mark.slow
def test_view_that_was_saved_here_is_there_and_the_other_way_round(job_stack: JobStack, waiting: UUID) -> None:
    job_stack.redrive("jobs", "views", "save", "twins", "param.name:twins", "state:scheduled", "--who", "ada")
    assert str(waiting) in found(job_stack, "--view", "twins")
    with client(job_stack, "grace") as console:
        # What others saw a moment ago is shared for some seconds.
        wait_until(lambda: "twins" in console.get("/jobs").text, PATIENCE, "the view to be shown")
        form = {"csrf": token_of(console), "name": "twins too", "query": "state:scheduled param.name:twins"}
        assert console.post("/views", data=form).status_code == 303
    assert str(waiting) in found(job_stack, "--view", "twins too")

    job_stack.redrive("jobs", "views", "forget", "twins")

    listed = json.loads(job_stack.redrive("jobs", "views", "list", "--json").stdout)
    assert {one["name"]: one["who"] for one in listed if "twins" in one["name"]} == {"twins too": "grace"}
    refused = job_stack.redrive("jobs", "find", "--view", "twins", check=False)
    assert refused.returncode == 4
    assert "twins too" in refused.stderr


def test_dead_letters_are_found_by_error_and_time(job_stack: JobStack) -> None:
    job = enqueue("test-permanent", {"folder": str(job_stack.folder("by-error"))}).id
    row = job_stack.dead_letter(job)

    def listed(*conditions: str) -> set[str]:
        printed = job_stack.redrive("dead", "list", "--job", "test-permanent", *conditions, "--json").stdout
        return {one["run_id"] for one in json.loads(printed)}

    assert str(job) in listed("--error", row.error_type, "--since", "1h")
    assert str(job) not in listed("--error", "NobodysError")
    assert str(job) not in listed("--since", "2099-01-01")


def test_jobs_that_fit_are_exported_alike(job_stack: JobStack, waiting: UUID) -> None:
    words = ("param.folder:/two words", "state:scheduled")
    with client(job_stack, "grace") as console:
        exported = console.get("/jobs.csv", params={"q": 'param.folder:"/two words" state:scheduled'}).text
    printed = job_stack.redrive("jobs", "find", *words, "--csv").stdout

    assert str(waiting) in printed
    assert printed.splitlines() == exported.splitlines()


def test_bulk_act_of_the_console_is_shown_and_stopped_on_the_command_line(job_stack: JobStack) -> None:
    message, folder = f"twins {uuid4().hex[:8]}", str(job_stack.folder("bulk-twins"))
    jobs = enqueue_many("test-many", [{"folder": folder, "message": message}] * 2)
    for job in jobs:
        job_stack.dead_letter(job.id)
    with client(job_stack, "grace") as console:
        form = {"csrf": token_of(console), "text": message, "all": "1", "rate": "1/m", "why": "the cable is in"}
        assert console.post("/failures/bulk/redrive", data=form).status_code == 303
    listed = json.loads(job_stack.redrive("dead", "acts", "--json").stdout)
    (act,) = [one for one in listed if one["filter"]["text"] == message]
    assert (act["who"], act["why"], act["wanted"]) == ("grace", "the cable is in", 2)

    def outcomes() -> dict[str, str]:
        told = json.loads(job_stack.redrive("dead", "acts", act["id"][:8], "--json").stdout)
        return {row["run_id"]: row["status"] for row in told["jobs"]}

    # The first at once, and the second a minute later.
    wait_until(lambda: len(outcomes()) == 1, PATIENCE, "the first to be redriven")
    assert "stops after what is at hand" in job_stack.redrive("dead", "stop", act["id"][:8], "--who", "ada").stdout
    shown = job_stack.redrive("dead", "acts", act["id"][:8]).stdout
    assert f"bulk {act['what']} of 2 jobs" in shown
    assert "the cable is in" in shown
    refused = job_stack.redrive("dead", "stop", act["id"][:8], check=False)
    assert refused.returncode == 5
    assert "already by ada" in refused.stderr
    assert job_stack.redrive("dead", "acts", "nothing-like-it", check=False).returncode == 4


def test_note_about_a_cause_is_the_same_in_both(job_stack: JobStack) -> None:
    job = enqueue("test-permanent", {"folder": str(job_stack.folder("note"))}).id
    cause = job_stack.dead_letter(job).fingerprint

    job_stack.redrive("dead", "note", cause, "the disk, see ticket 7", "--who", "ada")

    with client(job_stack, "grace") as console:
        assert "the disk, see ticket 7" in console.get(f"/failures/{cause}").text
        console.post(f"/failures/{cause}/note", data={"csrf": token_of(console), "note": "mended"})
    assert "mended\n  grace" in job_stack.redrive("dead", "note", cause[:8]).stdout
    recorded = json.loads(job_stack.redrive("console", "record", "--by", "grace", "--json").stdout)
    assert ("note", f"cause {cause}", "mended") in {(one["what"], one["about"], one["why"]) for one in recorded}
    assert "no note" in job_stack.redrive("dead", "note", cause, "--clear").stdout
    with job_stack.ledger() as ledger:
        assert ledger.groups(Filter(fingerprint=cause), limit=1)
