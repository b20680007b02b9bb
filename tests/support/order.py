"""Which tests run in one process one after the other, and in which order, when `pytest -n` divides them.

A stack takes twenty seconds to start, so files that share one go to the same process. What takes longest begins first, so
that no process works alone at the end.

pytest-xdist's own `loadgroup` does not work here: it writes the group into a field that pytest 9.2 no longer has.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[2]
#: Stacks that live as long as the session, by the parameter with which a test asks for one; the longest of them first.
SHARED = {
    "job stack": re.compile(r"\b(?:(?:running_)?job_stack: JobStack|redrive: Commands)\b"),
    "traced stack": re.compile(r"\btraced_stack: TracedStack\b"),
    "local stack": re.compile(r"\b(?:stack|stopped): LocalStack\b"),
    "plain Prefect": re.compile(r"\b(?:plain_prefect: PlainPrefect|keeperless: Keeperless)\b"),
}
#: Files that leave their stack stopped come after those that only use it.
LAST = ("test_local_stack_faults.py",)


class StackScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist's classes are not typed
    """Gives all tests of a group to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(ROOT / nodeid.partition("::")[0])


@cache
def group_of(path: Path) -> str:
    """The stack that a file's tests share with other files, or the file itself."""
    source = path.read_text()
    return next((name for name, asks in SHARED.items() if asks.search(source)), path.stem)


def sort(items: list[pytest.Item]) -> None:
    """By group; the tests of a file stay together, in their order."""
    shared = list(SHARED)
    files = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]

    def place(tests: list[pytest.Item]) -> tuple[int, bool, str, bool]:
        path = tests[0].path
        group = group_of(path)
        rank = shared.index(group) if group in shared else len(shared)
        return rank, "unit" in path.parts, group, path.name in LAST

    items[:] = [item for tests in sorted(files, key=place) for item in tests]
