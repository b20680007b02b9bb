"""Made-up deaths for tests of the ledger."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from redrive.deployments.dead_letters.ledger import Death

START = datetime(2026, 1, 1, tzinfo=UTC)
_DRAW = random.Random(1)


def an_id(draw: random.Random = _DRAW) -> UUID:
    return UUID(int=draw.getrandbits(128), version=4)


def a_death(*, after: float = 0, **given: Any) -> Death:
    """A death `after` seconds from START; every one has a run and a state of its own unless given."""
    values: dict[str, Any] = {
        "run_id": an_id(),
        "dead_state_id": an_id(),
        "last_failure": START + timedelta(seconds=after),
        "job": "send-mail",
        "queue": "default",
        "error_type": "smtplib.SMTPServerDisconnected",
        "message": "Connection unexpectedly closed",
        "parameters": {"to": "a@example.com", "password": "hunter2"},
    }
    return Death(**{**values, **given})


def varied(count: int, *, causes: int = 40, seed: int = 7) -> list[Death]:
    """Deaths of several job types, queues and causes, one second apart."""
    draw = random.Random(seed)
    words = ["refused", "closed", "missing", "broken", "empty", "locked", "late", "torn"]
    deaths = []
    for number in range(count):
        cause = draw.randrange(causes)
        deaths.append(
            a_death(
                after=number,
                run_id=an_id(draw),
                dead_state_id=an_id(draw),
                job=f"job-{'abcd'[cause % 4]}",
                queue=["high", "default", "low"][cause % 3],
                reason=["tries", "permanent", "crash"][cause % 3],
                error_type=f"lib.Error{'ABCDE'[cause % 5]}",
                message=f"the {words[cause % 8]} {words[cause // 8 % 8]} thing {draw.randrange(10**6)} went wrong",
                traceback="Traceback (most recent call last):\n" + '  File "/app/x.py", line 1, in y\n' * 20,
            )
        )
    return deaths
