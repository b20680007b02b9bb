"""Documents read in sandboxes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redrive.flows.documents import formats
from redrive.flows.documents.attached import join_texts
from redrive.flows.documents.content import private_copy
from redrive.flows.documents.sandboxes import Sandboxes


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Sandboxes]:
    with Sandboxes() as running:
        yield running


def read_file(sandboxes: Sandboxes, path: Path) -> tuple[str, dict[str, Any]]:
    """Text and findings of a file."""
    with (
        private_copy(path) as content,
        sandboxes.extracted(content.file, formats.by_ending(path.name)) as made,
    ):
        return made.text.decode(), made.found.model_dump()


@pytest.fixture
def read(sandboxes: Sandboxes, tmp_path: Path) -> Any:
    """Text and findings of a document given by name and content."""

    def reading(name: str, content: bytes) -> tuple[str, dict[str, Any]]:
        (tmp_path / name).write_bytes(content)
        with (
            private_copy(tmp_path / name) as copy,
            sandboxes.extracted(copy.file, formats.by_ending(name)) as made,
        ):
            join_texts(sandboxes, made, ends=time.monotonic() + 60)
            return made.text.decode(), made.found.model_dump()

    return reading
