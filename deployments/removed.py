"""Job types that were removed from the catalog: their deployments stay, for the jobs that wait and for history, and take no new jobs.

Danger: only what this stack itself registered before counts as removed; other projects on the same Prefect server have
catalogs of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from redrive.blocks.prefect.client import ask
from redrive.blocks.prefect.deployment import Deployment
from redrive.blocks.prefect.requests import deployments

#: Tag of a deployment whose job type is gone; people see it in Prefect, and registering the job type again takes it off.
REMOVED = "redrive-removed"


def is_removed(deployment: Deployment) -> bool:
    return REMOVED in (deployment.tags)


def mark_removed(home: Path, catalog: Iterable[str]) -> list[str]:
    """Mark what this stack registered before and the catalog has no more, and remember the catalog; returns the marked names."""
    memory, now = home / "registered.json", sorted(catalog)
    gone = [name for name in _read(memory) if name not in now]
    for name in gone:
        _mark(name)
    # Those that are gone stay in memory: a deployment somebody makes again by hand is marked again.
    written = memory.with_suffix(".new")
    written.write_text(json.dumps(sorted({*now, *gone})))
    written.replace(memory)
    return gone


def _read(memory: Path) -> list[str]:
    try:
        found = json.loads(memory.read_text())
    except (OSError, ValueError):
        # Nothing was registered from here yet, or nobody knows what.
        return []
    return [str(name) for name in found] if isinstance(found, list) else []


def _mark(name: str) -> None:
    there = ask(deployments.named(name, name).or_none())
    if there is None:
        return
    if REMOVED not in there["tags"]:
        ask(deployments.update(there["id"], {"tags": [*there["tags"], REMOVED]}))
    for schedule in there["schedules"]:
        if str(schedule["slug"] or "").startswith("redrive-"):
            # Registered again with its job type; a pause would stay.
            ask(deployments.delete_schedule(there["id"], schedule["id"]))
        elif schedule["active"]:
            kept = schedule.get("parameters") or {}
            ask(deployments.switch_schedule(there["id"], schedule["id"], active=False, parameters=kept))
