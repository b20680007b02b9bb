"""Which tests run in one process one after the other, and in which order, when `pytest -n` divides them.

A stack takes twenty seconds of a processor to start, so files that share one go to the same process; and a tenth of a
processor while it idles, so it is stopped before the process goes on to another group. What takes longest begins first, so
that no process works alone at the end.

pytest-xdist's own `loadgroup` does not work here: it writes the group into a field that pytest 9.2 no longer has.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[2]
#: Stacks that live as long as their group, by the parameter with which a test asks for one; the longest group first.
SHARED = {
    "plain Prefect": re.compile(r"\b(?:plain_prefect: PlainPrefect|keeperless: Keeperless)\b"),
    "fault stack": re.compile(r"\bstack: FaultStack\b"),
    "job stack": re.compile(r"\b(?:(?:running_)?job_stack: JobStack|consoles: Consoles|redrive: Commands)\b"),
    "local stack": re.compile(r"\b(?:stack|stopped): LocalStack\b"),
    "traced stack": re.compile(r"\btraced_stack: TracedStack\b"),
}
#: Files that leave their stack stopped come after those that only use it.
LAST = ("test_local_stack_faults.py",)


class StackScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist's classes are not typed
    """Gives all tests of a group to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(ROOT / nodeid.partition("::")[0])


@cache
def group_of(path: Path) -> str:
    """The stack that a file's tests share with others of their folder, or the file itself."""
    stack = stack_of(path)
    return f"{stack} of {path.parent.name}" if stack else path.stem


@cache
def stack_of(path: Path) -> str | None:
    """The stack that the file's tests share."""
    source = path.read_text()
    return next((name for name, asks in SHARED.items() if asks.search(source)), None)


def sort(items: list[pytest.Item]) -> None:
    """By group; the tests of a file stay together, in their order."""
    shared = list(SHARED)
    files = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]

    def place(tests: list[pytest.Item]) -> tuple[int, bool, str, bool]:
        path = tests[0].path
        stack = stack_of(path)
        rank = shared.index(stack) if stack else len(shared)
        return rank, "unit" in path.parts, group_of(path), path.name in LAST

    items[:] = [item for tests in sorted(files, key=place) for item in tests]


def run_last_of_its_group(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test after which nobody here needs its stack, and end what lives as long as the session; False for any other test."""
    if nextitem is None or not stack_of(item.path) or group_of(item.path) == group_of(nextitem.path):
        return False
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    runtestprotocol(item, nextitem=None)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
