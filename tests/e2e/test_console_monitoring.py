"""Monitoring: somebody who watches the console sees jobs run, end and wait, by the same numbers as the exporter's."""

from __future__ import annotations

import pytest

from redrive.deployments.enqueue import enqueue
from tests.support.console import PATIENCE, Consoles, in_browser
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser]


def test_link_of_redrive_up_signs_in_once_and_shows_the_queues(consoles: Consoles) -> None:
    (printed,) = [line for line in consoles.stack.command("up").stdout.splitlines() if "/sign-in/link" in line]
    link = printed.split()[1]
    console = consoles.window()

    console.page.goto(link)
    console.page.get_by_role("heading", name="Overview").wait_for()
    for queue in ("high", "default", "low"):
        assert console.row(queue).is_visible()

    other = consoles.window()
    other.page.goto(link)
    other.reads("This link was used or is too old")


def test_job_is_seen_to_run_and_to_end_without_loading_the_page_again(consoles: Consoles) -> None:
    console = consoles.sign_in()
    folder = consoles.stack.folder("watched")
    before = int(console.figure("Running").split()[0])

    job = enqueue("test-ok", {"folder": str(folder), "seconds": 300})

    wait_until(lambda: int(console.figure("Running").split()[0]) > before, PATIENCE, "the job to be counted")
    console.page.locator(f"a[href='/jobs/{job.id}']").first.click()
    (folder / "enough").touch()
    console.page.locator(".pill.completed").first.wait_for()
    console.reads("Beginning flow run")


def test_list_of_jobs_finds_by_the_filter_language(consoles: Consoles) -> None:
    console = consoles.sign_in(role="viewer")
    folder = str(consoles.stack.folder("found"))
    job = enqueue("test-ok", {"folder": folder, "name": "needle"})
    other = enqueue("test-ok", {"folder": folder, "name": "hay"})
    box = console.page.get_by_role("combobox", name="Filter jobs")

    console.open("/jobs")
    console.page.keyboard.press("/")
    box.fill("job:test-ok param.name:needle")
    box.press("Enter")

    console.page.locator(f"a[href='/jobs/{job.id}']").wait_for()
    assert console.page.locator(f"a[href='/jobs/{other.id}']").count() == 0

    box.fill("job:test-okk")
    box.press("Enter")
    console.reads("did you mean test-ok")
