"""Performance: percentiles appear once jobs ended, and a slow job type is told from a quick one."""

from __future__ import annotations

from typing import Any

import pytest

from redrive.deployments.enqueue import enqueue
from tests.support.console import PATIENCE, Consoles, client, in_browser
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser]


def test_slow_job_type_is_told_from_a_quick_one_by_its_percentiles(consoles: Consoles) -> None:
    for number in range(4):
        enqueue("test-crowd", {"number": number})
    enqueue("test-chatty", {"lines": 1, "seconds": 6})

    with client(consoles.stack, role="viewer") as viewer:

        def p95(job: str) -> float:
            figures: dict[str, Any] = viewer.get("/figures", params={"span": "1h", "job": job}).json()
            return max((value for value in figures["duration_p95"] if value is not None), default=0.0)

        wait_until(lambda: p95("test-crowd") and p95("test-chatty"), PATIENCE, "the percentiles of both")
        assert p95("test-chatty") > 5 > p95("test-crowd")

    console = consoles.sign_in(role="viewer")
    console.open("/types/test-chatty?span=1h")
    for chart in ("throughput", "wait", "duration"):
        drawn = console.page.locator(f"[data-chart='{chart}'] canvas")
        drawn.wait_for()
        assert console.page.locator(f"[data-chart='{chart}']:not([data-nothing])").count() or chart == "wait"


def test_one_browser_or_twenty_cost_prefect_the_same(consoles: Consoles) -> None:
    """The poller is one for all: what more browsers get is what it has."""
    windows = [consoles.sign_in(f"viewer {number}", "viewer") for number in range(3)]

    numbers = {window.figure("Running") for window in windows}
    streams = [window.page.evaluate("document.querySelector('[sse-connect]') !== null") for window in windows]

    assert all(streams)
    assert len(numbers) <= 2  # a job may end between two readings
