"""The project whose job types the stack runs: the folder `redrive up` was called for, on the import path of its processes."""

from __future__ import annotations

import os
from pathlib import Path


def import_path(project: Path) -> str:
    """PYTHONPATH with the project in front of what the environment already has."""
    return os.pathsep.join([str(project), *filter(None, [os.environ.get("PYTHONPATH")])])
