"""Commands that only ask load neither Prefect nor a data library: its import alone takes longer than their answer may."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: What a listing or showing command loads, its body's imports included.
COMMANDS = {
    "jobs list, show": ("infra.cli.jobs", "deployments.jobs.details", "deployments.jobs.search"),
    "jobs logs": ("infra.cli.jobs_logs", "deployments.jobs.logs", "deployments.jobs.details"),
    "dead list, groups, show": ("infra.cli.dead", "deployments.dead_letters.ledger"),
    "queues list": ("infra.cli.queues", "deployments.queues"),
    "status": ("infra.cli.stack", "infra.local.status"),
    "top": ("infra.cli.top", "deployments.health.top"),
    "check": ("infra.cli.check", "deployments.health.check"),
}
#: Prefect, and what takes as long.
HEAVY = ("prefect", "pandas", "numpy", "fastapi", "altair")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_asks_loads_no_prefect(command: str) -> None:
    loads = "; ".join(f"import redrive.{module}" for module in ("infra.cli.main", *COMMANDS[command]))
    told = f"import sys; {loads}; print([name for name in {HEAVY!r} if name in sys.modules])"

    said = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"
