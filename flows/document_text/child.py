"""Runs the reader in a disposable child process and says what became of it.

Danger: the child stays in the job's process group, so that whoever kills the group (a worker's hard timeout) reaches it.
"""

from __future__ import annotations

import json
import os
import signal
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redrive.blocks.errors import PermanentError, RedriveError
from redrive.flows.document_text import reader

#: Seconds one document may take; a 1,000-page PDF takes about 2.
WALL_LIMIT = 90

#: What an interpreter needs to find the same packages as ours.
_IMPORTS = ("PATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME")

#: Signals by which the kernel or the C library ends a process that broke its limits or its memory: the document's fault.
_AT_FAULT = {
    signal.SIGXCPU: f"it needs more than {reader.CPU_LIMIT} s of processor time",
    signal.SIGXFSZ: "its text is larger than a document's can be",
    signal.SIGABRT: f"it cannot be read within {reader.MEMORY_LIMIT // 1024**2:,} MB of memory",
    signal.SIGSEGV: "the reader crashed on it",
    signal.SIGBUS: "the reader crashed on it",
    signal.SIGILL: "the reader crashed on it",
}


class ReadingStopped(RedriveError):  # noqa: N818  (reads as what happened, as in blocks/errors.py)
    """A document could not be read this time."""


@contextmanager
def extracted(path: Path, mime: str, *, wall_limit: float = WALL_LIMIT) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder with `text.txt` and numbered attachments, and what was found about the document; both gone afterwards.

    Raises:
        PermanentError: the document is corrupt or breaks a limit.
        ReadingStopped: the reader ran out of time or was killed from outside; another try may work.
    """
    with tempfile.TemporaryDirectory(prefix="redrive-document-") as private:
        folder = Path(private) / "out"
        folder.mkdir(mode=0o700)
        _run([str(path), str(folder), mime], Path(private), path.name, wall_limit)
        yield folder, json.loads((folder / "found.json").read_text())


def _run(arguments: list[str], private: Path, name: str, wall_limit: float) -> None:
    # Only what an interpreter needs: the job's environment holds secrets, and the document is hostile.
    environment = {"TMPDIR": str(private), "HOME": str(private), "LANG": "C.UTF-8", "RAYON_NUM_THREADS": "1"}
    environment["PYTHONUSERBASE"] = site.getuserbase()
    environment |= {key: os.environ[key] for key in _IMPORTS if key in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", reader.__name__, *arguments],
            env=environment,
            cwd=private,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=wall_limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ReadingStopped(
            f"{name} was not read within {wall_limit:g} s; if that repeats, take it out of the folder"
        ) from None
    if done.returncode == 0:
        return
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == reader.UNREADABLE:
        raise PermanentError(f"{name} cannot be read ({said}): have it sent again")
    if done.returncode < 0:
        reason = _AT_FAULT.get(signal.Signals(-done.returncode))
        if reason:
            raise PermanentError(f"{name} cannot be read: {reason}; take it out of the folder")
        raise ReadingStopped(f"the process reading {name} was killed by {signal.Signals(-done.returncode).name}")
    last = said.splitlines()[-1] if said else f"exit code {done.returncode}"
    raise ReadingStopped(f"the process reading {name} could not work: {last}")
