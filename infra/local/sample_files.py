"""The sample inputs in REDRIVE_HOME/samples, where jobs find them.

Danger: sample files that a person changed or removed stay so; they are copied only where the folder is missing.
"""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files

from redrive.blocks.core.settings import Settings


def copy_samples(settings: Settings) -> None:
    """Put the sample inputs into REDRIVE_HOME, once."""
    if settings.samples.exists():
        return
    with as_file(files("redrive.flows") / "samples") as ours:
        # Copied beside and renamed, so that a copy that was cut off is never taken for a whole one.
        partial = settings.samples.with_name("samples.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(ours, partial, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
        partial.rename(settings.samples)
