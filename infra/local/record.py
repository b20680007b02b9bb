"""`stack.json`: what the stack was started with, for later commands without the same environment. No secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ValidationError

from redrive.blocks.core.setting_values import QUEUES
from redrive.blocks.core.settings import Settings


class Record(BaseModel):
    """The contents of `stack.json`. `Settings.load` reads the ports from it."""

    host: str
    prefect_port: int
    console_port: int
    metrics_port: int
    smtp_port: int
    #: Folder whose modules the jobs may import: where the worker runs.
    project: Path
    slots: int
    #: Modules with the project's job types: a later `up` without REDRIVE_JOBS must not lose them.
    jobs: str = ""
    #: The queues of the jobs, first served first.
    queues: tuple[str, ...] = QUEUES
    #: Components another server stands in for.
    external: list[str]

    @classmethod
    def of(cls, settings: Settings, external: list[str]) -> Self:
        return cls(
            host=settings.host,
            prefect_port=settings.prefect_port,
            console_port=settings.console_port,
            metrics_port=settings.metrics_port,
            smtp_port=settings.smtp_port,
            project=project_folder(settings),
            slots=settings.slots,
            jobs=settings.jobs,
            queues=settings.queues,
            external=external,
        )

    @classmethod
    def read(cls, settings: Settings) -> Self:
        """The record of this stack.

        Raises:
            FileNotFoundError: it was never started.
        """
        return cls.model_validate_json(settings.stack_file.read_bytes())

    @classmethod
    def find(cls, settings: Settings) -> Self | None:
        """The record, or None if there is none to be read."""
        try:
            return cls.read(settings)
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, settings: Settings) -> None:
        """Replace the record in one step."""
        fresh = settings.stack_file.with_suffix(".new")
        fresh.write_text(self.model_dump_json(indent=2) + "\n")
        os.replace(fresh, settings.stack_file)  # noqa: PTH105  (says that an existing one is replaced)


def project_folder(settings: Settings) -> Path:
    """The folder above `.redrive`; with REDRIVE_HOME elsewhere, where `redrive up` is called."""
    return settings.home.parent if settings.home.name == ".redrive" else Path.cwd()
