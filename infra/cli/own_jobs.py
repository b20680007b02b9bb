"""The modules with jobs that a command names: which stack they belong to, and how what it starts hears of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from redrive.blocks.core.settings import settings
from redrive.infra.local.project import module_name


def use_jobs(modules: Iterable[str], *, besides: bool) -> None:
    """Set what the stack's jobs are, in the environment, which everything that is started inherits.

    A folder that is part of no project becomes one: its stack lies in it.

    Args:
        modules: names or files.
        besides: those that the stack remembers stay.

    Raises:
        CatalogError: a file that is not there or cannot be imported.
    """
    names = [module_name(one) for one in modules]
    here = Path.cwd()
    if "REDRIVE_HOME" not in os.environ and not here.is_relative_to(settings().home.parent):
        os.environ["REDRIVE_HOME"] = str(here / ".redrive")
        settings.cache_clear()
    known = [one for one in settings().jobs.split(",") if one] if besides else []
    os.environ["REDRIVE_JOBS"] = ",".join(dict.fromkeys([*known, *names]))
    settings.cache_clear()
