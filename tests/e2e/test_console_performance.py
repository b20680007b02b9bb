"""Performance: percentiles appear once jobs ended, and a slow job type is told from a quick one."""

from __future__ import annotations

from typing import Any

import pytest

from redrive.deployments.enqueue import enqueue
from tests.support.console import PATIENCE, Consoles, client, in_browser
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser]


def test_slow_job_type_is_distinguished_from_a_quick_one_by_its_percentiles(consoles: Consoles) -> None:
    with client(consoles.stack, role="viewer") as viewer:

        def figures(job: str) -> dict[str, Any]:
            read: dict[str, Any] = viewer.get("/figures", params={"span": "1h", "job": job}).json()
            return read

        def p95_since(before: dict[str, Any], job: str, number: int) -> float | None:
            """The highest p95 of the minutes in which jobs ended since then, once that many did: the stack is shared."""
            now, known = figures(job), dict(zip(before["at"], before["completed"], strict=True))
            grown = [(done - known.get(at, 0), at) for at, done in zip(now["at"], now["completed"], strict=True)]
            if sum(more for more, _ in grown) < number:
                return None
            p95 = dict(zip(now["at"], now["duration_p95"], strict=True))
            return max(p95[at] for more, at in grown if more > 0)

        quick_before, slow_before = figures("test-crowd"), figures("test-chatty")
        for number in range(4):
            enqueue("test-crowd", {"number": number})
        enqueue("test-chatty", {"lines": 1, "seconds": 6})
        slow = wait_until(lambda: p95_since(slow_before, "test-chatty", 1), PATIENCE, "the slow one to be counted")
        quick = wait_until(lambda: p95_since(quick_before, "test-crowd", 4), PATIENCE, "the quick ones to be counted")
        assert slow > 5 > quick

    console = consoles.sign_in(role="viewer")
    # By type and step, and each of its attempts, the slowest first.
    console.open("/slow?span=1h&job=test-chatty")
    console.page.locator(".types details", has_text="test-chatty").first.wait_for()
    console.page.locator(".slowest tr.row a.main", has_text="test-chatty").first.wait_for()
    console.open("/types/test-chatty?span=1h")
    for chart in ("throughput", "wait", "duration"):
        drawn = console.page.locator(f"[data-chart='{chart}'] canvas")
        drawn.wait_for()
        assert console.page.locator(f"[data-chart='{chart}']:not([data-nothing])").count() or chart == "wait"
