"""Confinement of a user without rights, as a worker should be."""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from redrive.blocks.process.kernel import libc
from redrive.flows.documents import confinement

NOBODY = 65534
#: A process that changed its user counts as one with secrets, which an ordinary one of that user is not.
PR_SET_DUMPABLE = 4


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that another user can enter; pytest's own lie below folders that are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="changes its user")
def test_user_without_rights_leaves_the_network_and_still_makes_files(open_folder: Path) -> None:
    open_folder.chmod(0o755)
    mine = open_folder / "mine"
    mine.mkdir()
    os.chown(mine, NOBODY, NOBODY)
    (open_folder / "other").write_text("x")
    (open_folder / "other").chmod(0o644)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
            left, place = confinement.leave_network(), confinement.Enclosure.keeping(mine)
            kept = place is not None and place.enter()
            try:
                (open_folder / "other").read_text()
                reached = True
            except PermissionError:
                reached = False
            (mine / "told").write_text(json.dumps({"left": left, "kept": kept, "reached": reached}))
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    told = json.loads((mine / "told").read_text())
    assert told["reached"] is not told["kept"], "what the kernel has is used"
    if libc().syscall(444, None, ctypes.c_size_t(0), 1) > 0:  # type: ignore[union-attr]
        assert told["kept"]
