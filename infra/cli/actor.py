"""Who acts: the name that a history keeps.

Danger: a claim, no proof; whoever reaches Prefect's API can act anyway.
"""

from __future__ import annotations

import getpass
import os
from typing import Annotated

from cyclopts import Parameter

from redrive.blocks.core.settings import settings

Who = Annotated[str | None, Parameter(name=["--who", "--actor"])]


def actor(given: str | None) -> str:
    """The name given, else `REDRIVE_ACTOR`, else the user of the system."""
    if name := given or settings().actor:
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that nobody named.
        return f"uid {os.getuid()}"
