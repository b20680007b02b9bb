"""Whether the code of the jobs changed on disk since it was loaded, so that new children run the new one.

What lies in site-packages or belongs to Python does not change under a running worker and is not watched.
"""

from __future__ import annotations

import site
import sys
import sysconfig
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

#: A file's time comes from a clock that ticks this rarely (nanoseconds), so a file saved now may seem a little older.
GRAIN = 10_000_000
#: The time of a file that was saved while it may have been read: which version was loaded is unknown, so it counts as changed.
UNKNOWN = -1


@dataclass(frozen=True)
class Code:
    """The project's source files that this process loaded, with when they were last changed (nanoseconds)."""

    files: dict[str, int]
    #: The names of all modules by then: as long as they are the same, nothing new was loaded.
    modules: tuple[str, ...] = ()

    @classmethod
    def loaded(cls, since: int) -> Self:
        """What this process has loaded by now, having begun to load it at `since` (nanoseconds, `time.time_ns`)."""
        return cls(_times(_project_files(), since), tuple(sys.modules))

    def with_new(self, since: int) -> Self:
        """The same, and what was loaded since. What was loaded before keeps its time: a file may have changed during a job."""
        modules = tuple(sys.modules)
        if modules == self.modules:
            return self
        return type(self)({**self.files, **_times(_project_files() - self.files.keys(), since)}, modules)

    def changed(self) -> bool:
        """Whether any of it changed or is gone."""
        return any(_changed_at(path) != time for path, time in self.files.items())


def _times(paths: set[str], since: int) -> dict[str, int]:
    now = time.time_ns()
    # A time in the future is a clock's mistake and no sign of an edit.
    return {
        path: UNKNOWN if since - GRAIN <= changed <= now else changed
        for path in paths
        if (changed := _changed_at(path))
    }


def _project_files() -> set[str]:
    installed = _installed()
    files = set()
    for module in tuple(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and path.endswith(".py") and not path.startswith(installed):
            files.add(path)
    return files


def installed_modules() -> set[str]:
    """Top-level modules of installed packages that this process loaded; they stay as they are while it lives."""
    installed = _installed()
    return {
        name
        for name, module in tuple(sys.modules.items())
        if "." not in name and (getattr(module, "__file__", None) or "").startswith(installed)
    }


@cache
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {*site.getsitepackages(), site.getusersitepackages()}
    folders |= {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return tuple(f"{Path(folder)}/" for folder in folders)


def _changed_at(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0
