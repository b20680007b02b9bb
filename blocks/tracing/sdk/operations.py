"""The instrument of `messaging.client.operation.duration`, and who sends what it measures: the SDK's own periodic reader."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from functools import cache

from opentelemetry import metrics
from opentelemetry.metrics import Histogram
from opentelemetry.metrics._internal import _ProxyMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

from redrive.blocks.tracing import names
from redrive.blocks.tracing.messaging import broker
from redrive.blocks.tracing.sdk.exporter import resource
from redrive.blocks.tracing.sdk.metric_sender import metric_exporter

#: Upper bounds, seconds, as the conventions advise.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
#: Seconds that a process which ends waits for its last figures to be taken.
LAST_FIGURES = 2.0


class Operations:
    """Measures operations in the name of a component of Redrive, or of an application that has metrics of its own."""

    def __init__(self, component: str, instance: str) -> None:
        there = metrics.get_meter_provider()
        self._own: MeterProvider | None = None
        if isinstance(there, _ProxyMeterProvider):
            self._exporter = metric_exporter()
            reader = PeriodicExportingMetricReader(self._exporter)
            there = self._own = MeterProvider([reader], resource(component, instance), shutdown_on_exit=False)
        self._duration: Histogram = there.get_meter(names.SCOPE, schema_url=names.SCHEMA).create_histogram(
            names.OPERATION_DURATION,
            unit="s",
            description="Duration of messaging operation initiated by a producer or consumer client.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )

    def record(self, operation: str, queue: str, seconds: float, error_type: str | None) -> None:
        attributes = {
            names.SYSTEM: "redrive",
            names.OPERATION: operation,
            names.OPERATION_TYPE: operation,
            names.DESTINATION: queue,
            **broker(),
        }
        self._duration.record(seconds, attributes | ({names.ERROR_TYPE: error_type} if error_type else {}))

    def finish(self) -> None:
        """Send what was measured; `LAST_FIGURES` seconds are waited for that, whatever the receiver does, which is then cut off."""
        if self._own is None:
            return
        # What is cut off then is an error to the exporter.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        # The reader's own limit of time does not hold while a receiver hangs.
        sending = threading.Thread(target=self._own.force_flush, daemon=True)
        sending.start()
        sending.join(LAST_FIGURES)
        self._exporter.shutdown()


@cache
def of_this_process() -> Operations:
    """Those of a process that sends by itself."""
    made = Operations(os.environ.get("REDRIVE_COMPONENT") or "client", f"{os.getpid()}")
    atexit.register(made.finish)
    return made
