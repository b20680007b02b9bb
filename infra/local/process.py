"""What Linux offers to a process and Python does not: ending with its parent, leaving root without losing its files.

Source: prctl(2), capabilities(7), capset(2).
"""

from __future__ import annotations

import ctypes
import os
import pwd
from signal import Signals

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def end_with_parent(signal: Signals) -> None:
    """Have the kernel send `signal` to this process, and what it becomes by exec, when its parent ends in any way."""
    _libc().prctl(_PR_SET_PDEATHSIG, int(signal), 0, 0, 0)


def become(uid: int) -> None:
    """Go from root to `uid` for good, keeping only the right to pass folders that are closed to others.

    PostgreSQL refuses to run as root, but a project under /root (mode 0700) can be reached by root only. Opening such
    folders to everybody, as other wrappers do, is not ours to decide; one ambient capability does it instead.
    """
    libc = _libc()
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    gid = pwd.getpwuid(uid).pw_gid
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    keep = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(keep, keep, keep, 0, 0, 0)
    # A container may not own the capability: then this fails, and open folders still work.
    if libc.capset(header, sets) == 0:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
