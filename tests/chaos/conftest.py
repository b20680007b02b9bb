"""The fault suite's stack."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.fault_stack import FaultStack
from tests.support.job_stack import pointed_at


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
