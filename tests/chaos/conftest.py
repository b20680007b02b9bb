"""The fault suite: its stack, and its full size only when asked for (`make soak`)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.fault_stack import FaultStack
from tests.support.job_stack import pointed_at

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`soak` runs take an hour, so an ordinary run leaves them out."""
    if "soak" in str(config.getoption("-m")):
        return
    soak = [item for item in items if HERE in item.path.parents and item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=soak)
    items[:] = [item for item in items if item not in soak]


@pytest.fixture(scope="session")
def running_fault_stack() -> Iterator[FaultStack]:
    folder = Path(tempfile.mkdtemp(prefix="redrive-faults-"))
    stack = FaultStack(folder / ".redrive")
    try:
        stack.start()
        yield stack
    finally:
        stack.end_strangers()
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def stack(running_fault_stack: FaultStack) -> Iterator[FaultStack]:
    """The session's stack for faults, whole again after each test, this process pointed at it."""
    with pointed_at(running_fault_stack):
        yield running_fault_stack
        running_fault_stack.end_strangers()
        running_fault_stack.wait_whole()
