"""A job that ran in place, with what a test asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redrive.blocks.core.errors import JobFailed
from redrive.blocks.prefect.states import COMPLETED
from redrive.deployments.accepted import Accepted


@dataclass(frozen=True, kw_only=True)
class InlineJob(Accepted[Any]):
    """A job that ran in place, to its end.

    Attributes:
        parameters: what its function was called with.
        queue: where it would have waited.
        state: `Completed` or `DeadLetter`.
        message: of a dead letter: why.
        tries: of the step that failed last; 0 if none did.
        waits: how long the clock was moved between tries, of steps and attempts.
        attempts: how often a worker would have started it.
        executions: of each step, by name; a completed one is not repeated.
        value: what it returned, as it would have been stored.
        error: what it raised last.
    """

    parameters: Mapping[str, Any]
    queue: str
    state: str
    message: str
    tries: int
    waits: tuple[timedelta, ...]
    attempts: int
    executions: Mapping[str, int]
    value: Any = None
    error: Exception | None = None

    def result(self, timeout: float | None = None) -> Any:
        """What it returned.

        Raises:
            JobFailed: it is a dead letter; its cause is what the job raised.
        """
        del timeout
        if self.state != COMPLETED.capitalize():
            raise JobFailed(
                f"{self.job} job {self.name} ended {self.state}: {self.message}", id=self.id, state=self.state
            ) from self.error
        return self.value
