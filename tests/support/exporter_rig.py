"""An exporter before a made-up API; it samples when the test says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from redrive.blocks.core.settings import Settings
from redrive.dashboards.exporter.exposition import families
from redrive.dashboards.exporter.server import MetricsServer
from redrive.dashboards.exporter.service import Exporter
from redrive.deployments.dead_letters.ledger import Ledger
from tests.support.prefect_api import MadeUpApi, serving


class Rig:
    """An exporter, its ledger and its made-up API; looks are taken when the test says so."""

    def __init__(self, api: MadeUpApi, url: str, folder: Path) -> None:
        self.api = api
        self.settings = Settings.load(
            {
                "REDRIVE_HOME": str(folder),
                "PREFECT_API_URL": url,
                "REDRIVE_REDIS_URL": f"unix://{folder}/nobody.sock",
            }
        )
        self.ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
        self.ledger.migrate()
        self.started = datetime.now(UTC)
        self.ledger.set_cursor("counting began", (self.started - timedelta(hours=1)).isoformat())
        self.restart()

    def restart(self) -> None:
        """As after kill -9: nothing but the ledger is left."""
        self.exporter = Exporter(self.settings, self.ledger)
        self.tail = self.exporter._tail

    def sample(self) -> None:
        """Take every look once, whatever the time."""
        for duty in self.exporter.duties:
            self.exporter.attend(duty)

    def scraped(self, *, later: float = 0.0) -> dict[tuple[str, ...], float]:
        """Samples by name and label values in the order of the labels' names."""
        found = {}
        for family in families(self.exporter.snapshot, time.monotonic() + later, datetime.now(UTC)):
            for sample in family.samples:
                found[sample.name, *(value for _, value in sorted(sample.labels.items()))] = sample.value
        return found

    def finished(self, job: str = "mail", **more: Any) -> dict[str, Any]:
        """A run that ended just now."""
        return self.api.add(job, **{"end": datetime.now(UTC), "queue": "high"} | more)

    def counted(self, job: str = "mail", status: str = "completed", queue: str = "high") -> float:
        return self.ledger.counts.all().get(("jobs", queue, job, status), 0)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    api = MadeUpApi()
    with serving(api) as url:
        rig = Rig(api, url, tmp_path)
        yield rig
        rig.ledger.close()


@contextmanager
def served(rig: Rig) -> Iterator[str]:
    """The rig's exporter behind a port; its address."""
    server = MetricsServer("127.0.0.1", 0, lambda: rig.exporter.snapshot)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
