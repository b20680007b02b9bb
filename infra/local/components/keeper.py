"""The keeper: collects dead letters, rescues jobs of lost workers, resolves what was redriven."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from redrive.blocks.core.errors import RedriveError
from redrive.blocks.core.patience import patient
from redrive.infra.local.component import Component, Program
from redrive.infra.local.prefect_client import client_environment
from redrive.infra.local.project import import_path
from redrive.infra.local.record import Record

#: Seconds the ledger may take to say when the keeper's duties were done.
PATIENCE = 2.0


class Keeper(Component):
    name = "keeper"
    needs = ("postgres", "prefect")
    start_seconds = 5

    @property
    def folder(self) -> Path:
        return Record.read(self.settings).project

    def prepare(self) -> None:
        self._alive.unlink(missing_ok=True)
        self._begun.touch()

    def program(self) -> Program:
        return Program(
            (sys.executable, "-P", "-m", "redrive.infra.keeper.service"),
            {**client_environment(self.settings), "PYTHONPATH": import_path(self.folder)},
            {"PREFECT_LOGGING_LEVEL": "WARNING", "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false"},
        )

    def healthy(self) -> bool:
        return not self.complaint()

    def examine(self) -> tuple[bool, str]:
        complaint = self.complaint()
        return not complaint, complaint

    def complaint(self) -> str:
        """It touches a file after each round, so that its start is noticed at once; the ledger knows when each duty was done."""
        if not self._alive.exists():
            return "it has done no round yet"
        # Loaded here: every command of the stack reads this module, and few ask how the keeper is.
        from redrive.deployments.dead_letters.ledger import Ledger  # noqa: PLC0415
        from redrive.deployments.health.keeper_health import keeper_health  # noqa: PLC0415

        try:
            with patient(PATIENCE), Ledger(self.settings.ledger_url()) as ledger:
                # What a new start could not have done yet is not late by what was before it.
                due = [duty for duty in ledger.duties() if duty.limit < self._seconds]
        except RedriveError as error:
            return str(error)
        return "" if not due or (health := keeper_health(due)).healthy else health.summary

    @property
    def _seconds(self) -> float:
        """Since `redrive up` started it; what supervisord restarts has to keep the old times."""
        try:
            return time.time() - self._begun.stat().st_mtime
        except FileNotFoundError:
            return float("inf")

    @property
    def _begun(self) -> Path:
        return self.settings.home / "run" / "keeper.begun"

    @property
    def _alive(self) -> Path:
        return self.settings.home / "run" / "keeper.alive"
