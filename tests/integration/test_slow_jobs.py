"""Where the workers' time goes, from a real worker to the command, the page and the exporter."""

from __future__ import annotations

import json
import re

import httpx

from redrive.deployments.enqueue import enqueue, wait_for
from tests.support.console import client
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until


def test_what_a_job_took_shows_by_step_on_the_command_line_and_in_the_metrics(job_stack: JobStack) -> None:
    job = enqueue("test-timed", {"folder": str(job_stack.folder("slow"))}).id
    wait_for(job, timeout=60)

    def told() -> dict[str, object] | None:
        found = json.loads(job_stack.redrive("jobs", "slow", "--since", "1h", "--job", "test-timed", "--json").stdout)
        return found if job_id in {one["attempt"]["run_id"] for one in found["jobs"]} else None

    job_id = str(job)
    found = wait_until(told, 30, "the worker to tell what the job took")

    (kind,) = found["types"]
    assert kind["count"] >= 1
    assert kind["memory_p95"] > 1024 * 1024
    assert {"touch", "third"} <= {step["name"] for step in kind["steps"]}
    assert 0 <= kind["outside"] <= 1
    assert sum(step["share"] for step in kind["steps"]) + kind["outside"] <= 1.001

    def scraped() -> str | None:
        url = f"http://127.0.0.1:{job_stack.settings.metrics_port}/metrics"
        text = httpx.get(url, trust_env=False).text
        return text if 'queue_job_step_seconds_count{job="test-timed",step="touch"}' in text else None

    text = wait_until(scraped, 30, "the exporter to show the step")
    assert 'queue_job_memory_bytes_count{job="test-timed"}' in text
    assert 'queue_job_attempt_seconds_count{job="test-timed"}' in text

    # And the page says the same, of this type: twenty others of the stack's jobs may be slower.
    with client(job_stack, "grace") as grace:
        page = wait_until(
            lambda: text if "test-timed" in (text := grace.get("/slow?span=1h&job=test-timed").text) else None,
            30,
            "the page",
        )
    assert re.search(r"<b>test-timed</b>.*?touch.*?third.*?outside of steps", page, re.DOTALL)
    assert f"/jobs/{job}" in page
    assert 'aria-label="touch' in page or 'aria-label="third' in page
