"""Fixtures for all tests; each comes from the file in tests/support that owns it. What runs at full size only when asked for."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.support.file_roots import FILE_ROOTS
from tests.support.http_source import PRIVATE_HOSTS
from tests.support.order import StackScheduling, run_last_of_its_group, sort

pytest_plugins = [
    "tests.support.stack",
    "tests.support.job_stack",
    "tests.support.postgres",
    "tests.support.plain_prefect",
    "tests.support.keeperless",
    "tests.support.memory_group",
    "tests.support.console",
    "tests.support.exporter_rig",
    "tests.support.traced_stack",
    "tests.support.compose_installation",
    "tests.support.lost_jobs",
    "tests.support.document_readers",
    "tests.support.synced",
    "tests.support.commands",
    "tests.support.document_store",
]


def pytest_configure() -> None:
    """Jobs called as plain functions in a test's own process may read what tests make, as those of a test's stack may."""
    os.environ["REDRIVE_FILE_ROOTS"] = FILE_ROOTS
    os.environ["REDRIVE_PRIVATE_HOSTS"] = PRIVATE_HOSTS


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`soak` runs take an hour (`make soak`), so an ordinary run leaves them out."""
    if "soak" not in str(config.getoption("-m")):
        soak = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=soak)
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
    sort(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> StackScheduling:
    """Tests that share a stack go to one process."""
    return StackScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A stack ends with the last test that shares it."""
    return run_last_of_its_group(item, nextitem) or None
