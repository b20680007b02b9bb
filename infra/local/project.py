"""The project whose job types the stack runs: its import path, and its files as the person who stands in it names them."""

from __future__ import annotations

import os
from pathlib import Path


def import_path(project: Path) -> str:
    """PYTHONPATH with the project in front of what the environment already has."""
    return os.pathsep.join([str(project), *filter(None, [os.environ.get("PYTHONPATH")])])


def near(path: str | Path) -> str:
    """A path from where the person stands, if it lies below; anything else, a URI for one, as it is."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)
