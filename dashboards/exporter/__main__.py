"""The exporter as a process: `python -m redrive.dashboards.exporter`.

Several exporters at once do no harm: what one of them counted is counted.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from datetime import UTC, datetime

from prometheus_client import Metric, ProcessCollector
from prometheus_client.registry import Collector

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.heap import freeze_loaded
from redrive.blocks.core.settings import settings
from redrive.blocks.tracing.switch import metrics_are_asked_for, obstacle
from redrive.dashboards.exporter.exposition import gauges, totals
from redrive.dashboards.exporter.job_figures import FiguresOfJobs
from redrive.dashboards.exporter.platform import Platform
from redrive.dashboards.exporter.pushed import Pushed, temporality
from redrive.dashboards.exporter.server import MetricsServer
from redrive.dashboards.exporter.service import Exporter
from redrive.deployments.dead_letters.ledger import Ledger

log = logging.getLogger("redrive.exporter")


def main() -> None:
    """Look and answer until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    here = settings()
    with Ledger(here.ledger_url()) as ledger:
        exporter = Exporter(here, ledger)
        try:
            server = MetricsServer(here.host, here.metrics_port, lambda: exporter.snapshot, here.certificate())
        except RedriveError as error:
            log.error("%s", error)  # noqa: TRY400  (one sentence that says what to do, not where in the code)
            sys.exit(1)
        platform = Platform(here)
        server.registry.register(platform)
        figures = FiguresOfJobs(here)
        server.registry.register(figures)
        ProcessCollector(registry=server.registry)
        threading.Thread(target=platform.run, args=(stop,), name="platform", daemon=True).start()
        threading.Thread(target=figures.run, args=(stop,), name="figures", daemon=True).start()
        threading.Thread(target=server.serve_forever, name="scrapes", daemon=True).start()
        _push(exporter, ledger, (platform, figures), stop)
        scheme = "https" if here.tls else "http"
        log.info("figures of %s at %s://%s:%d/metrics", here.api_url, scheme, here.host, here.metrics_port)
        freeze_loaded()
        exporter.run(stop)
        server.shutdown()


def _push(exporter: Exporter, ledger: Ledger, more: tuple[Collector, ...], stop: threading.Event) -> None:
    """Send the figures over OTLP too, where somebody asks for it."""
    if not metrics_are_asked_for():
        return
    if why := obstacle({**os.environ, "OTEL_TRACES_EXPORTER": "otlp"}):
        log.error("no metrics are sent: %s", why)
        return
    from redrive.blocks.tracing.sdk.metric_sender import sender  # noqa: PLC0415  (only where somebody asks)

    def families() -> list[Metric]:
        now = exporter.snapshot
        if now.ledger_read is None:
            return []
        return [
            *totals(now),
            *gauges(now, time.monotonic(), datetime.now(UTC)),
            *(one for each in more for one in each.collect()),
        ]

    pushed = Pushed(ledger, families, sender("exporter", socket.gethostname()), how=temporality())
    threading.Thread(target=pushed.run, args=(stop,), name="pushed", daemon=True).start()


if __name__ == "__main__":
    main()
