"""One decision about one run at a time, over all processes that share the ledger.

Danger: the lock lives as long as its database connection. If the database becomes unavailable inside the block, another may decide
too, so re-read the run's state inside and keep the block short.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from sqlalchemy import text

from redrive.blocks.core.errors import Conflict
from redrive.blocks.core.patience import PERSON, for_person
from redrive.deployments.dead_letters.ledger.database import Database

#: Seconds to wait for somebody else's decision; an API call takes at most about half of it.
WAIT: Final = 60

_INT8: Final = 2**64


class _Local:
    """Locks of this process by name, forgotten when nobody holds them: SQLite has one process only."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[tuple[str, UUID], tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, key: tuple[str, UUID], wait: float) -> Iterator[None]:
        with self._guard:
            lock, holders = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = (lock, holders + 1)
        try:
            if not lock.acquire(timeout=wait):
                raise Conflict(f"somebody else decides about run {key[1]} for more than {wait:g} s")
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._guard:
                lock, holders = self._held.pop(key)
                if holders > 1:
                    self._held[key] = (lock, holders - 1)


_LOCAL: Final = _Local()


@contextmanager
def rescue_lock(database: Database, run_id: UUID, *, wait: float = WAIT) -> Iterator[None]:
    """Hold the lock of a run; it is freed at the end of the block however that ends.

    A transaction-level advisory lock: a rollback or a lost connection always frees it, and it works behind a pooler that
    hands out connections per transaction.

    Raises:
        Conflict: somebody else held it for all of `wait` seconds.
        LedgerUnavailable: the database cannot be reached.
    """
    if database.is_sqlite:
        with _LOCAL.hold((str(database.url), run_id), wait):
            yield
        return
    if for_person():
        wait = min(wait, PERSON / 2)  # "somebody else decides" is known before the server counts as silent
    with database.lock_connection() as connection:
        connection.execute(text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": f"{wait * 1000:.0f}ms"})
        # The two halves of a random id are as random as a hash of it.
        key = (run_id.int ^ (run_id.int >> 64)) % _INT8 - _INT8 // 2
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        yield
