"""The operator's console."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx

from redrive.infra.local.component import Component, Program
from redrive.infra.local.prefect_client import PATIENCE, client_environment
from redrive.infra.local.project import import_path
from redrive.infra.local.record import Record


class Console(Component):
    name = "console"
    needs = ("postgres", "prefect", "keeper")
    port_setting = "console_port"
    start_seconds = 5

    @property
    def folder(self) -> Path:
        return Record.read(self.settings).project

    def program(self) -> Program:
        return Program(
            (sys.executable, "-P", "-m", "redrive.dashboards.console"),
            # The job types of the project are shown with their policies.
            {**client_environment(self.settings), "PYTHONPATH": import_path(self.folder)},
        )

    def healthy(self) -> bool:
        """It answers. What it cannot reach it says on its own pages."""
        try:
            url = f"http://{self.settings.host}:{self.settings.console_port}/alive"
            with httpx.Client(trust_env=False, verify=False, timeout=PATIENCE) as client:  # noqa: S501  (plain HTTP)
                return client.get(url).is_success
        except httpx.HTTPError:
            return False
