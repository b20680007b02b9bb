"""What Sentry is told: each dead letter once, and each failed try where that is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from redrive.deployments.enqueue import wait_for
from tests.support.traced_stack import TracedStack
from tests.support.waiting import wait_until

#: With a stack of its own, and the receivers beside it.
pytestmark = pytest.mark.soak

PATIENCE = 120


def test_each_failed_try_is_an_event_of_sentry_where_that_is_wanted(http_traced_stack: TracedStack) -> None:
    stack = http_traced_stack
    job = stack.asked("traced-story", folder=str(stack.folder("tries")), script="fail,fail,fail")
    assert wait_for(job, timeout=PATIENCE).state_name == "DeadLetter"
    row = stack.dead_letter(job)

    def events() -> list[dict[str, Any]] | None:
        found = stack.sentry.of_job(job)
        return found if len(found) == 3 else None

    told = sorted(
        wait_until(events, 30, "two tries and the dead letter"), key=lambda one: one["contexts"]["job"]["tries"]
    )

    assert [one["level"] for one in told] == ["warning", "warning", "error"]
    assert {one["fingerprint"][0] for one in told} == {row.fingerprint}
    assert [one["exception"]["values"][0]["value"] for one in told] == ["nobody answers"] * 3
    assert told[0]["exception"]["values"][0]["stacktrace"]["frames"][-1]["function"] == "act"


def test_each_dead_letter_is_one_event_of_sentry(traced_stack: TracedStack) -> None:
    job = traced_stack.asked("traced-story", folder=str(traced_stack.folder("event")), script="fail,fail,fail")
    assert wait_for(job, timeout=PATIENCE).state_name == "DeadLetter"
    row = traced_stack.dead_letter(job)

    (event,) = wait_until(lambda: traced_stack.sentry.of_job(job), 30, "its event at Sentry")
    assert (event["fingerprint"], event["release"], event["transaction"]) == (
        [row.fingerprint],
        "shop@1.2.3",
        "traced-story",
    )
    assert event["contexts"]["job"]["tries"] == 3
    assert event["contexts"]["job"]["link"] == f"https://jobs.example.com/jobs/{job}"
    assert event["contexts"]["trace"]["trace_id"] == row.trace_id
    (raised,) = event["exception"]["values"]
    assert (raised["type"], raised["value"]) == ("Refused", "nobody answers")
    assert (raised["stacktrace"]["frames"][-1]["function"], raised["stacktrace"]["frames"][-1]["in_app"]) == (
        "act",
        True,
    )
