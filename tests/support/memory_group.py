"""A control group with little memory, in which the kernel kills for want of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_until

PATIENCE = 60


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group that may have 100 MB, of whichever version this system has."""
    first, second = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    root, limit = (first, "memory.limit_in_bytes") if first.is_dir() else (second, "memory.max")
    group = root / f"redrive-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(100 * 1024 * 1024))
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"no control group can be made here, so nobody is killed by the kernel: {error}")
    yield group
    wait_until(lambda: not (group / "cgroup.procs").read_text(), PATIENCE, "the group to be empty")
    group.rmdir()
