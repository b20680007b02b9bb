"""Registering the deployments during `redrive up`: libraries load while the Prefect server starts, calls follow."""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module

from redrive.blocks.core.settings import Settings
from redrive.infra.local.component import Report
from redrive.infra.local.record import Record


def load(settings: Settings) -> None:
    """Import what `register` will need: the catalog and every flow, some seconds of work for a core that has none."""
    _find_project(settings)
    # An error here comes up again in `register`, which says it well.
    with contextlib.suppress(Exception):
        import_module("redrive.deployments.register")
        for job in import_module("redrive.deployments.catalog").catalog().values():
            import_module(job.entrypoint.rpartition(".")[0])


def register(settings: Settings, report: Report) -> None:
    """Make Prefect know every job type."""
    _find_project(settings)
    import_module("redrive.deployments.register").register(settings, report)


def _find_project(settings: Settings) -> None:
    """Job types of the project's own are imported from its folder."""
    project = str(Record.read(settings).project)
    if project not in sys.path:
        sys.path.insert(0, project)
