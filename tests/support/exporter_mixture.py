"""The kinds of jobs of the exporter's batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sort:
    """One kind of job in the mixture: its type, parameters, and what is certain of it."""

    job: str
    parameters: dict[str, Any] = field(default_factory=dict)
    tries: int = 1
    end: str = "completed"
    queue: str = "default"
    reason: str = ""


#: Shares of ten.
MIXTURE = (
    Sort("test-ok", queue="high"), Sort("test-ok"), Sort("test-ok", queue="low"),
    Sort("test-flaky", {"good_at": 2}, tries=2), Sort("test-flaky", {"good_at": 3}, tries=3),
    Sort("test-body", tries=3, end="dead", reason="tries"),
    Sort("test-permanent", end="dead", reason="permanent", queue="low"),
    Sort("test-die", {"times": 1}, end="completed"),
    Sort("test-die", {"times": 99}, end="dead", reason="crash"),
    Sort("test-ok", end="cancelled"),
)  # fmt: skip

KILLED = Sort("test-long", {"seconds": 8}, queue="high")

STOPPED = Sort("test-long", {"seconds": 600}, end="cancelled", queue="low")

MENDED = Sort("test-fail-once", {"message": "no"}, end="completed")
