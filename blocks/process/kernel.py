"""What Linux is asked that Python has no call for: prctl(2), and the C library for further calls."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Final

# <linux/prctl.h>
PR_SET_PDEATHSIG: Final = 1
PR_SET_KEEPCAPS: Final = 8
PR_SET_NAME: Final = 15
PR_SET_SECUREBITS: Final = 28
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47


@cache
def libc() -> ctypes.CDLL | None:
    """The C library; None elsewhere than on Linux."""
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def prctl(option: int, *values: object) -> bool:
    """Whether the kernel did it; `ctypes.get_errno()` says why not."""
    found = libc()
    given = (*values, 0, 0, 0, 0)[:4]
    return found is not None and bool(found.prctl(option, *given) == 0)
