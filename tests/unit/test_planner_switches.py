"""Where the planner is told what not to do, nothing may be compiled for it: before PostgreSQL 18 that takes seconds each time."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("blocks", "dashboards", "deployments", "flows", "infra")
SWITCHES = re.compile(r"SET LOCAL enable_")


def test_planner_switches_come_with_jit_switched_off() -> None:
    lines = {
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        for line in file.read_text().splitlines()
        if SWITCHES.search(line)
    }

    assert lines, "no planner switches were found: the way they are written has changed, and this test with it"
    assert [line for line in lines if "SET LOCAL jit = off" not in line] == []
