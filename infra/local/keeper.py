"""The keeper: collects dead letters, rescues jobs of lost workers, resolves what was redriven."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from redrive.infra.local.component import Component, Program
from redrive.infra.local.prefect_client import client_environment
from redrive.infra.local.project import import_path
from redrive.infra.local.record import Record

#: Seconds without a finished round after which it counts as stuck: several times its slowest duty.
STALE = 30.0


class Keeper(Component):
    name = "keeper"
    needs = ("postgres", "prefect")
    start_seconds = 5

    @property
    def folder(self) -> Path:
        return Record.read(self.settings).project

    def prepare(self) -> None:
        self._alive.unlink(missing_ok=True)

    def program(self) -> Program:
        return Program(
            (sys.executable, "-P", "-m", "redrive.flows.keeper.service"),
            {**client_environment(self.settings), "PYTHONPATH": import_path(self.folder)},
            {"PREFECT_LOGGING_LEVEL": "WARNING", "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false"},
        )

    def healthy(self) -> bool:
        """It touches a file after every round that reached both Prefect and the ledger."""
        try:
            return time.time() - self._alive.stat().st_mtime < STALE
        except FileNotFoundError:
            return False

    @property
    def _alive(self) -> Path:
        return self.settings.home / "run" / "keeper.alive"
