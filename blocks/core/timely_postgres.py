"""A PostgreSQL connection whose server may not stay silent for ever: libpq's own timeouts end with the connecting.

Danger: a connection that was given up is closed; what its transaction did is not known, as with any connection that breaks.
"""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout

from redrive.blocks.core.patience import answered, left_for, unanswered

R = TypeVar("R")


class TimelyConnection(psycopg.Connection[Any]):
    """Gives up a server that does not answer within `patience()`: frozen, or on a host that vanished."""

    def wait(self, gen: PQGen[R], interval: float = 0.1, timeout: float | None = None) -> R:
        server = self.info.host
        seconds = left_for(server)
        if timeout is not None and timeout < seconds:
            return super().wait(gen, interval, timeout)
        try:
            result = super().wait(gen, interval, seconds)
        except _WaitTimeout:
            unanswered(server)
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the server does not answer (not within {seconds:g} s)") from None
        answered(server)
        return result
