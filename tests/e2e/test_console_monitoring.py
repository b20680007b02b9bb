"""Monitoring: somebody who watches the console sees jobs run, end and wait, by the same numbers as the exporter's."""

from __future__ import annotations

import re
from contextlib import suppress

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from redrive.blocks.core.errors import Conflict
from redrive.deployments.enqueue import enqueue
from redrive.deployments.jobs.actions import cancel_job
from redrive.deployments.queues import pause_queue
from tests.support.console import PATIENCE, Console, Consoles, in_browser
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser]

#: In the order of the overview's columns.
GAUGES = ("queue_jobs_waiting", "queue_jobs_running", "queue_jobs_retrying", "queue_jobs_scheduled")


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


def test_overview_shows_the_numbers_that_the_exporter_gives(consoles: Consoles) -> None:
    stack = consoles.stack
    folder = str(stack.folder("same-numbers"))
    pause_queue("low", paused=True)
    jobs = [enqueue("test-ok", {"folder": folder}, queue="low").id for _ in range(3)]
    jobs += [enqueue("test-ok", {"folder": folder}, queue="high", delay=3600).id for _ in range(2)]
    jobs.append(enqueue("test-ok", {"folder": folder, "seconds": 300}).id)
    dead = enqueue("test-permanent", {"folder": folder}).id
    try:
        stack.dead_letter(dead)
        console = consoles.sign_in(role="viewer")

        def both() -> tuple[dict[str, list[int]], dict[str, list[int]]]:
            return shown(console), exported(stack)

        # Other jobs of the stack may go on, and the two do not look at the same moment: they agree as soon as nothing moves.
        wait_until(
            lambda: (found := both())[0] == found[1] and all_there(found[0]), PATIENCE, "the same numbers in both"
        )
    finally:
        pause_queue("low", paused=False)
        for job in jobs:
            with suppress(Conflict):
                cancel_job(job)


def all_there(numbers: dict[str, list[int]]) -> bool:
    """Whether what the test asked for is counted."""
    asked = numbers["low"][0] >= 3, numbers["high"][3] >= 2, numbers["default"][1] >= 1, numbers["open"][0] >= 1
    return all(asked)


def shown(console: Console) -> dict[str, list[int]]:
    """By queue what waits, runs, waits for a next try and is not due; and the open failures."""
    found = {}
    for row in console.page.locator("tr:has(a[href^='/jobs?q=queue:'])").all():
        cells = [cell.strip() for cell in row.locator("td").all_inner_texts()]
        waiting, _, running, retrying, scheduled = cells[1:6]
        found[cells[0].split()[0]] = [number(one) for one in (waiting, running, retrying, scheduled)]
    return {**found, "open": [number(console.figure("Failures open"))]}


def exported(stack: JobStack) -> dict[str, list[int]]:
    """The same out of the exporter's metrics."""
    text = httpx.get(f"http://{stack.settings.host}:{stack.settings.metrics_port}/metrics", trust_env=False).text
    gauges = {name: dict[str, int]() for name in GAUGES}
    opened = 0
    for sample in (one for family in text_string_to_metric_families(text) for one in family.samples):
        if sample.name in gauges:
            gauges[sample.name][sample.labels["queue"]] = int(sample.value)
        elif sample.name == "queue_dead_letters" and sample.labels["status"] == "open":
            opened += int(sample.value)
    queues = gauges[GAUGES[0]]
    return {**{queue: [gauges[name][queue] for name in GAUGES] for queue in queues}, "open": [opened]}


def number(text: str) -> int:
    return int(text.replace(",", ""))


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

    # Somebody who paused the list reads on undisturbed, and goes on where they please.
    again = "document.body.dispatchEvent(new Event('changed'))"
    console.page.get_by_role("button", name="Live").click()
    late = enqueue("test-ok", {"folder": folder, "name": "needle"})
    with console.page.expect_response(re.compile("/jobs/count")):
        console.page.evaluate(f"{again}; fetch('/jobs/count?q=job:test-ok')")
    assert console.page.locator(f"a[href='/jobs/{late.id}']").count() == 0
    console.page.get_by_role("button", name="Paused").click()
    console.page.evaluate(again)
    console.page.locator(f"a[href='/jobs/{late.id}']").wait_for()

    box.fill("job:test-okk")
    box.press("Enter")
    console.reads("did you mean test-ok")
