"""Failed tries of one attempt, each until it is known what follows.

A try is told of once another one follows it, or the job goes on without: the last one of a dead job is the dead letter's, which the
keeper reports.
"""

from __future__ import annotations

import logging
from typing import Any

from redrive.blocks.process import failed_tries
from redrive.flows.engine.causes_of import causes_of

log = logging.getLogger("redrive.sentry")


class FailedTries:
    """Those of one attempt, as events for Sentry; none unless somebody wants them."""

    def __init__(self) -> None:
        self._pending: dict[str, tuple[BaseException, dict[str, Any]]] = {}

    def note(self, key: str, error: BaseException, event: dict[str, Any]) -> None:
        """A try failed; `key` tells the steps of a job apart that run side by side."""
        self._pending[key] = (error, event)

    def followed(self, key: str) -> None:
        """Another try follows."""
        if noted := self._pending.pop(key, None):
            _announce(noted[1])

    def survived(self) -> None:
        """The job goes on, or is done, in spite of all of them."""
        for key in tuple(self._pending):
            self.followed(key)

    def died(self, error: BaseException) -> None:
        """The job is a dead letter by this error, which the keeper reports."""
        chain = set(causes_of(error))
        self._pending = {key: noted for key, noted in self._pending.items() if id(noted[0]) not in chain}
        self.survived()

    def knows(self, error: BaseException) -> bool:
        """Whether it was noted, by the step that raised it."""
        chain = set(causes_of(error))
        return any(id(noted) in chain for noted, _ in self._pending.values())


def _announce(event: dict[str, Any]) -> None:
    try:
        failed_tries.announce(event)
    except OSError:
        # The worker is gone; the job goes on.
        log.debug("a failed try could not be handed over", exc_info=True)
