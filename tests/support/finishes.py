"""Ends of jobs to count."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from redrive.deployments.dead_letters.ledger.finishes import Finish, Kind

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MAIL = Kind(queue="high", job="mail")


def a_finish(**facts: Any) -> Finish:
    given: dict[str, Any] = {
        "run_id": uuid4(), "at": NOW, "status": "completed", "kind": MAIL, "ran": 2.0, "waited": 1.0,
    } | facts  # fmt: skip
    return Finish(**given)
