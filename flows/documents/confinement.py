"""Confines a process that handles hostile input: its memory, time and files, what it may reach, and whom it outlives.

What the kernel offers is used, and what it lacks is done without: limits and death with the parent work on every Linux,
Landlock (folders, TCP, signals) from 5.13 on, a network of its own where a user may make namespaces.

Danger: none of it can be undone in the process that it was done to.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import site
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from redrive.blocks.process.kernel import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    libc,
    prctl,
)

#: Bytes of address space; a 1,000-page PDF needs some 300 MB, and a library's mappings count too.
MEMORY_LIMIT = 2 * 1024**3
#: Seconds of processor time; a 200-page PDF takes 0.3.
CPU_LIMIT = 60
#: Bytes it may write: the text and all attachments of one document.
FILE_LIMIT = 1024**3

# <linux/sched.h>
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
# <linux/landlock.h>; the numbers of its calls are the same on every architecture
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _VERSION, _PATH_BENEATH = 444, 445, 446, 1, 1
_EXECUTE, _READ_FILE, _READ_DIR, _MAKE_CHAR, _MAKE_BLOCK = 1 << 0, 1 << 2, 1 << 3, 1 << 6, 1 << 11
_READ = _EXECUTE | _READ_FILE | _READ_DIR
#: Rights over files that each version of Landlock knows: as many low bits.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP, _SCOPES = 0b11, 0b11
_NETWORK_FROM, _SCOPES_FROM = 4, 6


def limit() -> None:
    """Limits for memory, processor time and sizes of files; no core dump, no file for others."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, CPU_LIMIT + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)


def die_with_parent() -> None:
    """Be killed when the thread that started this process ends."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def leave_network() -> bool:
    """Go where there is no network; whether that was possible. Only for a process with one thread."""
    c = libc()
    if c is None:
        return False
    if c.unshare(_CLONE_NEWNET) == 0:
        return True
    # Half done, it would leave a process that can make no files: so another one tries first.
    trial = os.fork()
    if not trial:
        os._exit(0 if _leave_as_user(c) else 1)
    return os.waitpid(trial, 0)[1] == 0 and _leave_as_user(c)


def _leave_as_user(c: ctypes.CDLL) -> bool:
    user, group = os.geteuid(), os.getegid()
    if c.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Enclosure:
    """What a process may reach: no files but the interpreter's and libraries' (to read) and a folder; no TCP, no process outside.

    Made once, for all that are forked later.
    """

    ruleset: int

    @classmethod
    def reading(cls, folder: Path) -> Self | None:
        """A place with a folder to read; None where the kernel has no Landlock."""
        return cls._with(folder, lambda _: _READ)

    @classmethod
    def keeping(cls, folder: Path) -> Self | None:
        """A place with a folder to do anything in; None where the kernel has no Landlock."""
        return cls._with(folder, lambda rights: rights & ~_MAKE_CHAR & ~_MAKE_BLOCK)

    @classmethod
    def _with(cls, folder: Path, allowed: Callable[[int], int]) -> Self | None:
        c = libc()
        version = c.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION) if c else -1
        if c is None or version < 1:
            return None
        rights = (1 << _RIGHTS.get(version, _RIGHTS[5])) - 1
        attributes = struct.pack("Q", rights)
        attributes += struct.pack("Q", _TCP) if version >= _NETWORK_FROM else b""
        attributes += struct.pack("Q", _SCOPES) if version >= _SCOPES_FROM else b""
        ruleset = c.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
        if ruleset < 0:
            return None
        for path, right in (*_libraries(), (folder, allowed(rights))):
            _allow(c, ruleset, path, right)
        return cls(ruleset)

    def enter(self) -> bool:
        """Keep this process to it; whether that was possible."""
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        c = libc()
        return c is not None and bool(c.syscall(_RESTRICT_SELF, self.ruleset, 0) == 0)


def _libraries() -> list[tuple[str | Path, int]]:
    """Where code lies that an interpreter loads late, with the rights there.

    Not the whole import path: a project's folder holds its secrets too.
    """
    folders = (sys.prefix, sys.base_prefix, site.getusersitepackages(), "/usr", "/lib", "/lib64")
    files = ("/etc/ld.so.cache", "/dev/null", "/dev/urandom")
    return [*((folder, _READ) for folder in folders), *((file, _READ_FILE) for file in files)]


def _allow(c: ctypes.CDLL, ruleset: int, path: str | Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        # What is not on this machine is not allowed either; what must be there fails where it is used.
        return
    c.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    os.close(place)
