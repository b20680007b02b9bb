"""What a job says: its log as it comes, and its traceback with what is not the job's folded away."""

from __future__ import annotations

import re

import pytest

from redrive.deployments.enqueue import enqueue
from redrive.deployments.jobs.actions import cancel_job, retry_now
from tests.support.console import Consoles, in_browser

pytestmark = [pytest.mark.stack, in_browser]


def test_log_comes_while_the_page_is_open_and_each_line_once(consoles: Consoles) -> None:
    job = enqueue("test-chatty", {"lines": 5, "seconds": 300}, delay=3600).id
    console = consoles.sign_in(role="viewer")
    console.open(f"/jobs/{job}")
    console.reads(re.compile("Why isn't this running"))

    retry_now(job, who="ada")

    # Nothing of the page is asked for again but by itself.
    console.page.locator(".log .line", has_text="line 4").first.wait_for()

    def lines() -> list[str]:
        ids: list[str] = console.page.locator(".log .line").evaluate_all("lines => lines.map(line => line.id)")
        return ids

    first = lines()
    assert len(first) == len(set(first))
    console.reads("running")
    cancel_job(job)
    console.reads("cancelled")
    later = lines()
    assert later[: len(first)] == first
    assert len(later) == len(set(later))
    console.page.reload()
    assert set(later) <= set(lines())


def test_traceback_shows_the_jobs_own_frames_and_folds_the_others(consoles: Consoles) -> None:
    stack = consoles.stack
    job = enqueue("test-permanent", {"folder": str(stack.folder("traceback"))}).id
    stack.dead_letter(job)
    console = consoles.sign_in(role="viewer")
    console.open(f"/jobs/{job}")

    console.page.locator(".told .traceback").get_by_text("in permanent_step").first.wait_for()
    # The engine's own, in the log.
    folded = console.page.locator(".log .traceback details").first
    folded.locator("summary").wait_for()
    assert not folded.locator("pre").is_visible()
    folded.locator("summary").click()

    folded.locator("pre").wait_for()
    # The page reads itself anew, and what was opened stays open.
    with console.page.expect_response(re.compile(r"/now")):
        pass
    assert folded.locator("pre").is_visible()
