"""Limits: what ends a job is said in words, and the job stands among the failures: tries, deadline, timeout, crashes."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from redrive.deployments.enqueue import enqueue
from tests.support.console import Console, Consoles, in_browser

pytestmark = [pytest.mark.stack, in_browser]


def stands_among_failures(console: Console, consoles: Consoles, job_id: UUID) -> None:
    row = consoles.stack.dead_letter(job_id)
    console.open(f"/failures/{row.fingerprint}")
    console.row(str(job_id)[:8]).wait_for()
    console.open(f"/jobs/{job_id}")
    console.page.locator(".pill.dead").wait_for()


def test_spent_tries_timeout_and_crashes_end_as_dead_letters_that_say_so(consoles: Consoles) -> None:
    folder = str(consoles.stack.folder("limits"))
    spent = enqueue("test-fail", {"folder": folder, "message": "nobody answers at all"})
    slow = enqueue("test-slow", {"folder": folder})
    dying = enqueue("test-die", {"folder": folder})
    console = consoles.sign_in(role="viewer")

    stands_among_failures(console, consoles, spent.id)
    assert console.figure("Try") == "3 of 3"
    console.reads("3 of 3 tries failed")
    console.reads("ConnectionError: nobody answers at all")

    stands_among_failures(console, consoles, slow.id)
    console.reads(re.compile("tim(ed )?out", re.IGNORECASE))

    stands_among_failures(console, consoles, dying.id)
    console.reads("SIGKILL")
    assert "2 crashes" in console.page.locator(".figures").inner_text()


def test_deadline_of_a_policy_that_an_editor_saved_ends_a_job(consoles: Consoles) -> None:
    console = consoles.sign_in(role="editor")
    console.open("/types/test-fail")
    with consoles.stack.overridden("test-fail"):
        console.page.get_by_label("Override of retry_until").fill("2")
        console.press("Save the override")
        console.reads("Overridden: jobs follow it from their next start")

        job = enqueue("test-fail", {"folder": str(consoles.stack.folder("deadline")), "message": "too late for this"})

        stands_among_failures(console, consoles, job.id)
        console.reads(re.compile("deadline", re.IGNORECASE))


def test_policy_that_cannot_work_is_refused_where_it_was_written(consoles: Consoles) -> None:
    console = consoles.sign_in(role="editor")
    console.open("/types/test-flaky")

    console.page.get_by_label("Override of max_tries").fill("0")
    console.press("Save the override")

    console.reads("max_tries=0 cannot work")
