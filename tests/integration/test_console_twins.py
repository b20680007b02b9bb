"""What people keep in the console, the command line keeps too: views, notes, the record; and it finds jobs by the same filter."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue
from tests.support.console import client, token_of
from tests.support.job_stack import JobStack

pytestmark = pytest.mark.stack


def found(stack: JobStack, *arguments: str) -> set[str]:
    return {one["id"] for one in json.loads(stack.redrive("jobs", "find", *arguments, "--json").stdout)}


@pytest.fixture
def waiting(job_stack: JobStack) -> UUID:
    """A job of one folder, due in an hour."""
    return enqueue("test-ok", {"folder": "/two words", "name": "twins"}, delay=3600).id


def test_jobs_are_found_by_the_filter_of_the_console(job_stack: JobStack, waiting: UUID) -> None:
    assert str(waiting) in found(job_stack, "job:test-ok", "state:scheduled", "param.name:twins")
    assert str(waiting) in found(job_stack, "param.folder:/two words", "state:scheduled")
    assert str(waiting) not in found(job_stack, "param.name:nobody", "state:scheduled")
    refused = job_stack.redrive("jobs", "find", "state:ded", check=False)
    assert refused.returncode == 2
    assert "dead" in refused.stderr


def test_view_that_was_saved_here_is_there_and_the_other_way_round(job_stack: JobStack, waiting: UUID) -> None:
    job_stack.redrive("jobs", "views", "save", "twins", "param.name:twins", "state:scheduled", "--who", "ada")
    assert str(waiting) in found(job_stack, "--view", "twins")
    with client(job_stack, "grace") as console:
        assert "twins" in console.get("/jobs").text
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
