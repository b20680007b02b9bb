"""A wall clock of one process and all it starts that a test steps while they run: libfaketime, as `make tools` unpacks it.

The kernel's clocks that only run on are left alone, as NTP leaves them alone.

Danger: libfaketime 0.9.10 fails Python's own `time.sleep` (EINVAL: it hands an absolute time of a clock that it does not fake to a
call that it does); a `sitecustomize` puts one in its place that waits in `select`.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from tests.support.job_stack import ROOT

_SITE = '''"""Read by each Python that starts under the stepped clock."""

import select
import time


def sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = sleep
'''


def library() -> Path | None:
    """libfaketime for programs with threads; None where it was not unpacked."""
    found = sorted((ROOT / "build/tools/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return found[0] if found else None


class SteppedClock:
    """How far the clock of whatever runs `under` it is off, until it is stepped to something else."""

    def __init__(self, folder: Path, *, off: timedelta = timedelta(0)) -> None:
        preload = library()
        assert preload is not None, "libfaketime is not here: make tools"
        self._preload = preload
        (folder / "sitecustomize.py").write_text(_SITE)
        self._file = folder / "off"
        self.step(off)

    def under(self, environment: dict[str, str]) -> dict[str, str]:
        """That environment, under this clock."""
        folder = str(self._file.parent)
        return environment | {
            "LD_PRELOAD": str(self._preload),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            # Seconds after which a step is seen.
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Times of files are the file system's.
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, (folder, environment.get("PYTHONPATH")))),
        }

    def step(self, off: timedelta) -> None:
        """From now on (a second later at most) the clock is off by so much."""
        partial = self._file.with_suffix(".partial")
        partial.write_text(f"{off.total_seconds():+.0f}\n")
        partial.rename(self._file)
