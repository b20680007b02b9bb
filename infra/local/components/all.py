"""The table of components, in the order they start; they stop in reverse. A new one is one entry here.

Entries are strings so that each component's process loads its own module only.
"""

from __future__ import annotations

from importlib import import_module

from redrive.blocks.core.settings import Settings
from redrive.infra.local.component import Component

TABLE = {
    "postgres": "redrive.infra.local.components.postgres:Postgres",
    "valkey": "redrive.infra.local.components.valkey:Valkey",
    "mail": "redrive.infra.local.components.mail:Mail",
    "prefect": "redrive.infra.local.components.prefect_server:PrefectServer",
    "ops-worker": "redrive.infra.local.components.worker:OpsWorker",
    "keeper": "redrive.infra.local.components.keeper:Keeper",
    "exporter": "redrive.infra.local.components.exporter:Exporter",
    "console": "redrive.infra.local.components.console:Console",
    # Last, as registering the deployments happens while it starts; and jobs are the first thing to stop.
    "worker": "redrive.infra.local.components.worker:Worker",
}


def component(name: str, settings: Settings) -> Component:
    """The component of that name in the table, for one stack."""
    module, _, kind = TABLE[name].partition(":")
    made = getattr(import_module(module), kind)(settings)
    assert isinstance(made, Component)  # noqa: S101  (tells mypy; a wrong table entry is our own mistake)
    return made


def components(settings: Settings) -> list[Component]:
    return [component(name, settings) for name in TABLE]
