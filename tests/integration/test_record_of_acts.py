"""Every act stands in the record with who did it, why and what came of it, whether it was done in the console or on the command line."""

from __future__ import annotations

from uuid import uuid4

import pytest

from redrive.deployments.enqueue import enqueue
from redrive.deployments.people.people import People
from redrive.deployments.schedules import list_schedules
from tests.support.console import client
from tests.support.console_parts import part
from tests.support.job_stack import JobStack

pytestmark = pytest.mark.stack


def recorded(stack: JobStack, who: str) -> list[tuple[str, str, str, str]]:
    """What somebody did, the oldest first: the act, about what, why, and what came of it."""
    with People(stack.settings.ledger_url()) as people:
        acts = reversed(people.acts(who=who))
        return [(one.what, one.about, one.why, one.outcome) for one in acts if one.what != "signed in"]


def somebody(name: str) -> str:
    """Nobody of another test."""
    return f"{name} {uuid4().hex[:6]}"


def test_schedule_is_paused_resumed_and_run_by_somebody_in_both(job_stack: JobStack) -> None:
    ada, grace = somebody("ada"), somebody("grace")
    (known,) = [one for one in list_schedules() if one.job == "dead-letter-review"]
    because = ("--who", ada, "--why", "the holidays")
    job_stack.redrive("schedules", "pause", "dead-letter-review", *because)
    refused = job_stack.redrive("schedules", "pause", "dead-letter-review", *because, check=False)
    assert refused.returncode == 5
    job_stack.redrive("schedules", "resume", known.id[:8], *because)
    job_stack.redrive("schedules", "run", "dead-letter-review", *because)

    with client(job_stack, grace, "operator") as console:
        for act in ("pause", "pause", "resume", "run"):
            console.post(f"/schedules/{known.id}/{act}", data={"why": "the holidays"}, headers=part(console))

    here, there = recorded(job_stack, ada), recorded(job_stack, grace)
    assert here == there
    about = f"schedule {known.id[:8]} of dead-letter-review"
    assert [one[:3] for one in here] == [
        (f"schedule {act}", about, "the holidays") for act in ("pause", "pause", "resume", "run")
    ]
    assert [one[3].partition(":")[0] for one in here] == ["done", "refused", "done", "done"]


@pytest.mark.slow
def test_policy_is_overridden_and_cleared_by_somebody_in_both(job_stack: JobStack) -> None:
    ada, grace = somebody("ada"), somebody("grace")
    because = ("--who", ada, "--why", "their server is slow")
    with job_stack.overridden("test-ok"):
        job_stack.redrive("policy", "set", "test-ok", "--max-tries", "5", *because)
        refused = job_stack.redrive("policy", "set", "test-ok", "--max-tries", "0", *because, check=False)
        assert refused.returncode == 2
        job_stack.redrive("policy", "clear", "test-ok", *because)

        with client(job_stack, grace) as console:
            for tries in ("5", "0", ""):
                form = {"max_tries": tries, "why": "their server is slow"}
                console.post("/types/test-ok/policy", data=form, headers=part(console))

    here, there = recorded(job_stack, ada), recorded(job_stack, grace)
    assert here == there
    assert [one[:3] for one in here] == [("policy", "job type test-ok", "their server is slow")] * 3
    with client(job_stack, "bob", "viewer") as console:
        assert '<a href="/types/test-ok">job type test-ok</a>' in console.get("/audit", params={"who": ada}).text
    overridden, refusal, cleared = (one[3] for one in here)
    assert overridden == "overridden: max_tries 5"
    assert refusal.startswith("refused: ")
    assert cleared == "the catalog's policy holds again"


def test_what_is_done_to_jobs_and_failures_on_the_command_line_stands_in_the_record(job_stack: JobStack) -> None:
    ada, folder = somebody("ada"), str(job_stack.folder("record"))
    waiting = [enqueue("test-ok", {"folder": folder}, delay=3600).id for _ in range(3)]
    dead = job_stack.dead_letter(enqueue("test-permanent", {"folder": folder}).id)
    because = ("--who", ada, "--why", "not wanted")

    job_stack.redrive("jobs", "cancel", str(waiting[0]), *because)
    assert job_stack.redrive("jobs", "cancel", str(waiting[0]), *because, check=False).returncode == 5
    job_stack.redrive("jobs", "cancel", *map(str, waiting[1:]), *because)
    job_stack.redrive("jobs", "rerun", str(waiting[0]), *because)
    job_stack.redrive("dead", "note", dead.fingerprint, "not wanted", "--who", ada)
    job_stack.redrive("dead", "discard", str(dead.id), *because)
    job_stack.redrive("jobs", "views", "save", ada, "state:dead", "--who", ada)
    job_stack.redrive("jobs", "views", "forget", ada, "--who", ada)

    found = recorded(job_stack, ada)
    assert [one[:2] for one in found] == [
        ("cancel", f"job {waiting[0]}"),
        ("cancel", f"job {waiting[0]}"),
        ("bulk cancel", "jobs that were named"),
        ("run again", f"job {waiting[0]}"),
        ("note", f"cause {dead.fingerprint}"),
        ("discard", f"job {dead.run_id}"),
        ("save view", f"view {ada}"),
        ("forget view", f"view {ada}"),
    ]
    assert {one[2] for one in found[:6]} == {"not wanted"}
    assert found[1][3].startswith("refused: ")
    assert found[2][3] == "2 of 2 jobs"
    with client(job_stack, "bob", "viewer") as console:
        page = console.get("/audit", params={"who": ada}).text
    assert str(waiting[0])[:8] in page
    assert "not wanted" in page
