"""Fixtures for all tests; each comes from the file in tests/support that owns it. What runs at full size only when asked for."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import hypothesis
import pytest

from tests.support.file_roots import FILE_ROOTS
from tests.support.http_source import PRIVATE_HOSTS
from tests.support.order import StackScheduling, run_last_of_its_group, sort
from tests.support.tiers import LEFT, leave_out, told

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
    "tests.support.compose_images",
    "tests.support.compose_installation",
    "tests.support.lost_jobs",
    "tests.support.document_readers",
    "tests.support.synced",
    "tests.support.commands",
    "tests.support.document_store",
]


def pytest_configure() -> None:
    """Jobs called as plain functions in a test's own process may read what tests make, as those of a test's stack may.

    Hypothesis gives an example 0.2 s, and fails where drawing them is slow: on a busy machine that says nothing of the code.
    """
    hypothesis.settings.register_profile(
        "redrive", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("redrive")
    os.environ["REDRIVE_FILE_ROOTS"] = FILE_ROOTS
    os.environ["REDRIVE_PRIVATE_HOSTS"] = PRIVATE_HOSTS


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_out(config, items)
    sort(items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Each process of `pytest -n` collects all tests: what one of them left out is what was left out."""
    if counted := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[LEFT] = Counter(counted)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["left_out"] = dict(session.config.stash.get(LEFT, {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if left := config.stash.get(LEFT, None):
        terminalreporter.write_line(told(left))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> StackScheduling:
    """Tests that share a stack go to one process."""
    return StackScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A stack ends with the last test that shares it."""
    return run_last_of_its_group(item, nextitem) or None
