"""Which tests run in one process one after the other, and in which order, when `pytest -n` divides them.

A stack takes twenty seconds to start, so files that share one go to the same process. What takes longest begins first, so
that no process works alone at the end.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest

#: Servers that live as long as the session, by the fixture that starts each.
SHARED = ("running_job_stack", "running_stack", "plain_prefect")
#: Files that leave their stack stopped come after those that only use it.
LAST = ("test_local_stack_faults.py",)


def divide(items: list[pytest.Item]) -> None:
    """Sort the tests, and mark each with its group for `--dist loadgroup`."""
    files = {path: list(tests) for path, tests in groupby(items, key=lambda item: item.path)}
    groups = {path: _group(path, tests) for path, tests in files.items()}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))

    def place(item: pytest.Item) -> tuple[bool, bool, str, bool]:
        group = groups[item.path]
        return group not in SHARED, "unit" in item.path.parts, group, item.path.name in LAST

    items.sort(key=place)


def _group(path: Path, tests: list[pytest.Item]) -> str:
    needed = {name for test in tests for name in getattr(test, "fixturenames", ())}
    return next((name for name in SHARED if name in needed), path.stem)
