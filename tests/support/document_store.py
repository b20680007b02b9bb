"""The store of documents that tests write to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.filesystems import LocalFileSystem
from prefect.settings import PREFECT_SERVER_ANALYTICS_ENABLED, temporary_settings
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the document store."""
    folder = tmp_path_factory.mktemp("library")
    with temporary_settings({PREFECT_SERVER_ANALYTICS_ENABLED: False}), prefect_test_harness():
        LocalFileSystem(basepath=str(folder)).save("documents", overwrite=True)
        yield folder
