"""What happens after a failed try: policies × outcomes, with a controlled clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from redrive.blocks.core.decision import GiveUp, RetryAt, after_crash, after_failure
from redrive.blocks.core.errors import PermanentError, Snooze
from redrive.blocks.core.retry import RetryPolicy, exponential

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
POLICIES = {
    "list": RetryPolicy(max_tries=3, backoff=[1, 5, 10], jitter=0),
    "exponential": RetryPolicy(max_tries=4, backoff=exponential(2, 3, 10), jitter=0),
    "once": RetryPolicy(max_tries=1),
    "deadline": RetryPolicy(max_tries=9, backoff=[10], jitter=0, retry_until=15),
    "choosy": RetryPolicy(max_tries=3, never_on=[ValueError]),
}


def run(policy: RetryPolicy, error: Exception, took: float = 0) -> tuple[list[float], GiveUp]:
    """All tries of a job that fails with `error` every time, each after `took` seconds: the waits, and how it ended."""
    now, tries, waits = START, 0, []
    while True:
        now += timedelta(seconds=took)
        tries += 1
        decision = after_failure(policy, error=error, tries=tries, first_start=START, now=now, draw=0.5)
        if isinstance(decision, GiveUp):
            return waits, decision
        waits.append((decision.at - now).total_seconds())
        now = decision.at


@pytest.mark.parametrize(
    ("policy", "error", "waits", "message"),
    [
        ("list", OSError("down"), [1, 5], "dead letter: 3 of 3 tries failed (OSError)"),
        ("list", TimeoutError("slow"), [1, 5], "dead letter: 3 of 3 tries failed (TimeoutError)"),
        ("list", PermanentError("no"), [], "dead letter: permanent error, not tried again (PermanentError): no"),
        ("exponential", OSError("down"), [2, 6, 10], "dead letter: 4 of 4 tries failed (OSError)"),
        ("once", OSError("down"), [], "dead letter: 1 of 1 tries failed (OSError)"),
        ("deadline", OSError("down"), [10], "dead letter: deadline passed, 2 of 9 tries failed in 15 s (OSError)"),
        ("choosy", ValueError("bad"), [], "dead letter: permanent error, not tried again (ValueError): bad"),
        ("choosy", OSError("down"), [1, 5], "dead letter: 3 of 3 tries failed (OSError)"),
    ],
)
def test_exact_tries_and_waits(policy: str, error: Exception, waits: list[float], message: str) -> None:
    got, end = run(POLICIES[policy], error)

    assert got == pytest.approx(waits)
    assert end.message == message
    assert end.tries == len(waits) + 1


def test_waiting_message_says_which_try_and_when_next() -> None:
    decision = after_failure(POLICIES["list"], error=OSError(), tries=2, first_start=START, now=START, draw=0.5)

    assert decision == RetryAt(
        at=START + timedelta(seconds=5), told=START, tries=2, message="try 2 of 3 failed; next at 12:00:05Z (OSError)"
    )


def test_snooze_spends_no_try_and_ignores_the_limit() -> None:
    decision = after_failure(
        POLICIES["once"], error=Snooze(minutes=5, why="bank is closed"), tries=7, first_start=START, now=START, draw=0
    )

    assert decision == RetryAt(
        at=START + timedelta(minutes=5), told=START, tries=7, message="snoozed; next at 12:05:00Z: bank is closed"
    )


def test_backlog_alone_never_kills_a_job() -> None:
    """The deadline is asked only when a retry is scheduled: a first try long after it was due still gets its retries."""
    late = START + timedelta(days=2)

    decision = after_failure(POLICIES["deadline"], error=OSError(), tries=1, first_start=late, now=late, draw=0.5)

    assert isinstance(decision, RetryAt)


@pytest.mark.parametrize(("crashes", "kind"), [(1, RetryAt), (2, RetryAt), (3, GiveUp)])
def test_crash_budget(crashes: int, kind: type) -> None:
    decision = after_crash(RetryPolicy(max_crashes=2), crashes=crashes, cause="worker w-1: signal 9", now=START)

    assert isinstance(decision, kind)
    assert "worker w-1: signal 9" in decision.message
