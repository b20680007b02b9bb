"""What Linux offers to a process and Python does not: ending with its parent, leaving root without losing its files.

Source: prctl(2), capabilities(7), capset(2).
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from signal import Signals

from redrive.blocks.process.kernel import (
    PR_CAP_AMBIENT,
    PR_SET_KEEPCAPS,
    PR_SET_PDEATHSIG,
    PR_SET_SECUREBITS,
    libc,
    prctl,
)

_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True)
class Account:
    """Whom a process runs as."""

    uid: int
    gid: int


def end_with_parent(signal: Signals) -> None:
    """Have the kernel send `signal` to this process, and what it becomes by exec, when its parent ends in any way."""
    prctl(PR_SET_PDEATHSIG, int(signal))


def become(account: Account) -> None:
    """Go from root to an account for good, keeping only the right to pass folders that are closed to others.

    PostgreSQL refuses to run as root, but a project under /root (mode 0700) can be reached by root only. Opening such
    folders to everybody, as other wrappers do, is not ours to decide; one ambient capability does it instead.

    access(2) ignores capabilities of ordinary accounts unless the secure bit is set, and PostgreSQL's programs look for
    each other by it. A container may withhold either right: then open folders still work, and no right is left over.
    """
    prctl(PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    if not (_keep(1 << _CAP_DAC_OVERRIDE) and prctl(PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE)):
        # What would be lost by exec must not hide from a check made before it.
        _keep(0)


def _keep(capabilities: int) -> bool:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(capabilities, capabilities, capabilities, 0, 0, 0)
    found = libc()
    return found is not None and bool(found.capset(header, sets) == 0)
