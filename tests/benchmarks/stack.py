"""The stack of a benchmark: of its own, in a temporary folder, with this process pointed at it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.job_stack import JobStack, pointed_at


@contextmanager
def benchmarked() -> Iterator[JobStack]:
    """One that runs; gone afterwards, with the folder that its home is in."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-bench-"))
    stack = JobStack(folder / ".redrive")
    try:
        stack.start()
        with pointed_at(stack):
            yield stack
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)
