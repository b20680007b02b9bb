"""The project whose job types the stack runs: its import path, and its files as the person who stands in it names them."""

from __future__ import annotations

import os
from pathlib import Path

from redrive.blocks.core.errors import CatalogError


def import_path(project: Path) -> str:
    """PYTHONPATH with the project in front of what the environment already has."""
    return os.pathsep.join([str(project), *filter(None, [os.environ.get("PYTHONPATH")])])


def module_name(given: str) -> str:
    """A module as Python names it, from its name or its file: `my_jobs.py`, `billing/jobs.py`.

    Raises:
        CatalogError: the file is not there, or not below the project.
    """
    if not given.endswith(".py"):
        return given
    file = Path(given).resolve()
    if not file.exists():
        raise CatalogError(f"there is no file {given}: give a module with jobs, or its file")
    if not file.is_relative_to(Path.cwd().resolve()):
        raise CatalogError(f"{given} lies outside of this folder: call `redrive up` in its project's folder")
    parts = file.relative_to(Path.cwd().resolve()).with_suffix("").parts
    if wrong := [part for part in parts if not part.isidentifier()]:
        raise CatalogError(f"{given} cannot be imported: {wrong[0]!r} is no name in Python")
    return ".".join(parts)


def near(path: str | Path) -> str:
    """A path from where the person stands, if it lies below; anything else, a URI for one, as it is."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)
