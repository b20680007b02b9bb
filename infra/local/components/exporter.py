"""The exporter: figures of the queues for Prometheus."""

from __future__ import annotations

import sys

import httpx

from redrive.infra.local.component import Component, Program
from redrive.infra.local.prefect_client import PATIENCE, client_environment


class Exporter(Component):
    name = "exporter"
    needs = ("postgres", "prefect", "keeper")
    port_setting = "metrics_port"
    start_seconds = 5

    def program(self) -> Program:
        return Program((sys.executable, "-P", "-m", "redrive.dashboards.exporter"), client_environment(self.settings))

    def healthy(self) -> bool:
        """It says so itself: whether it reaches Prefect and the ledger, and its figures are fresh."""
        try:
            url = f"http://{self.settings.host}:{self.settings.metrics_port}/health"
            with httpx.Client(trust_env=False, verify=False, timeout=PATIENCE) as client:  # noqa: S501  (plain HTTP)
                return client.get(url).is_success
        except httpx.HTTPError:
            return False
