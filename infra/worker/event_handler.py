"""What the worker does about an event of the stream."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from redrive.infra.worker.attempts import Attempts
from redrive.infra.worker.due import DueRuns


@dataclass(frozen=True)
class EventHandler:
    """The listener of one worker. `begin` starts work beside what the worker does."""

    due_runs: DueRuns
    attempts: Attempts
    begin: Callable[[Coroutine[Any, Any, Any]], object]

    def due(self, queue: str | None) -> None:
        """A run became due."""
        self.due_runs.wake(queue)

    def connected(self) -> None:
        """The stream is there again; what it said meanwhile is found by looking."""
        self.due_runs.wake()

    def cancelling(self, run_id: str) -> None:
        """Somebody wants a run cancelled."""
        if attempt := self.attempts.of(run_id):
            self.attempts.stop(attempt, "cancel")

    def suspended(self, run_id: str) -> None:
        """Somebody suspended a run."""
        if attempt := self.attempts.of(run_id):
            self.begin(self.attempts.suspend(attempt))
