"""Has documents read in sandboxes: disposable processes forked from a warm template, one per document, any number at once.

Danger: template and sandboxes stay in the job's process group, so that whoever kills the group (a worker's hard timeout) reaches them;
and they end when their line to the job does, so that they do not outlive it.
"""

from __future__ import annotations

import os
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from redrive.blocks.core.errors import RedriveError
from redrive.flows.documents.formats import Unreadable
from redrive.flows.documents.made import Made

#: Seconds one document may take; a 1,000-page PDF takes about 2.
WALL_LIMIT = 90
#: Seconds the template may take to load its libraries on a busy machine.
READY = 60
#: Exit code of a sandbox whose document is at fault, as in `template`.
UNREADABLE = 3
#: Bytes of a reason that are read.
_SAID = 2000

#: What an interpreter needs to find the same packages as ours.
_IMPORTS = ("PATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME")

#: As many sandboxes run as there are cores: in each, threads and their arenas of memory only cost time to make.
_ALONE = {"RAYON_NUM_THREADS": "1", "TOKIO_WORKER_THREADS": "1", "MALLOC_ARENA_MAX": "1"}

#: Signals by which the kernel or the C library ends a process that broke its limits or its memory: the document's fault.
_AT_FAULT = {
    signal.SIGXCPU: "it needs more processor time than a document may take",
    signal.SIGXFSZ: "its text is larger than a document's can be",
    signal.SIGABRT: "it cannot be read within the memory a document may take",
    signal.SIGSEGV: "the reader crashed on it",
    signal.SIGBUS: "the reader crashed on it",
    signal.SIGILL: "the reader crashed on it",
}


class ReadingStopped(RedriveError):  # noqa: N818  (reads as what happened, as in blocks/core/errors.py)
    """A document could not be read this time."""


class ReadingTimedOut(ReadingStopped):
    """Its time was over."""


class Sandboxes:
    """A template and its sandboxes, from `with` to its end; `extracted` may be called from several threads."""

    def __init__(self) -> None:
        self._home = Path()
        self._lock = threading.Lock()
        self._template: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._closed = False

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="redrive-documents-"))
        (self._home / "shared").mkdir(mode=0o700)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            self._end_template()
        shutil.rmtree(self._home, ignore_errors=True)

    @contextmanager
    def extracted(self, content: int, mime: str, *, wall_limit: float = WALL_LIMIT) -> Iterator[Made]:
        """What was made of the document; gone afterwards.

        Args:
            content: an open file that nobody changes any more.

        Raises:
            Unreadable: the document is at fault.
            ReadingStopped: the reader ran out of time or was killed from outside; another try may work.
        """
        with tempfile.TemporaryFile(dir=self._home) as answer:
            code = self._ended(content, answer.fileno(), mime, wall_limit)
            if code == UNREADABLE:
                raise Unreadable(os.pread(answer.fileno(), _SAID, 0).decode(errors="replace"))
            if code < 0 and (reason := _AT_FAULT.get(signal.Signals(-code))):
                raise Unreadable(f"cannot be read: {reason}; take it out of the folder")
            if code < 0:
                raise ReadingStopped(f"was not read: the process reading it was killed by {signal.Signals(-code).name}")
            if code:
                raise ReadingStopped(f"was not read: the process reading it ended with exit code {code}")
            yield Made(answer)

    def _ended(self, content: int, answer: int, mime: str, wall_limit: float) -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs, self._lock:
                try:
                    self._begin(mime, content, answer, theirs.fileno())
                except OSError as error:
                    self._end_template()
                    raise ReadingStopped(f"was not read: its reader could not be started ({error.strerror})") from error
            ours.settimeout(wall_limit)
            try:
                told = ours.recv(64)
            except TimeoutError:
                # Our half of the line closes, which kills it; its end is waited for, as it writes its answer until then.
                ours.shutdown(socket.SHUT_WR)
                ours.settimeout(READY)
                ours.recv(64)
                raise ReadingTimedOut(
                    f"was not read within {wall_limit:g} s; if that repeats, take it out of the folder"
                ) from None
        if not told:
            raise ReadingStopped("was not read: the process that starts its readers was killed")
        return int(told)

    def _begin(self, mime: str, *files: int) -> None:
        """Have the template fork a sandbox. One that was killed while nobody looked took no order: another one gets it."""
        try:
            socket.send_fds(self._ready_template(), [mime.encode()], files)
        except (ConnectionResetError, BrokenPipeError):
            self._end_template()
            socket.send_fds(self._ready_template(), [mime.encode()], files)

    def _ready_template(self) -> socket.socket:
        if self._closed:
            raise ReadingStopped("was not read: the job was stopped")
        if self._template is not None and self._template.poll() is not None:
            self._end_template()
        if self._control is None:
            self._start_template()
        assert self._control is not None  # noqa: S101  (set by the line above)
        return self._control

    def _start_template(self) -> None:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Only what an interpreter needs: the job's environment holds secrets, and documents are hostile.
        shared = str(self._home / "shared")
        environment = {"TMPDIR": shared, "HOME": shared, "LANG": "C.UTF-8"} | _ALONE
        environment["PYTHONUSERBASE"] = site.getuserbase()
        environment |= {key: os.environ[key] for key in _IMPORTS if key in os.environ}
        with theirs:
            self._template = subprocess.Popen(
                [
                    sys.executable, "-P", "-m", "redrive.flows.documents.template",
                    str(theirs.fileno()), shared,
                ],
                env=environment,
                cwd=shared,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )  # fmt: skip
        self._control = control
        control.settimeout(READY)
        if not control.recv(16):
            said = self._template.communicate()[1].decode(errors="replace").strip().splitlines()
            self._end_template()
            raise ReadingStopped(
                f"was not read: the process that starts its readers could not work: {(said or ['?'])[-1]}"
            )

    def _end_template(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._template is not None:
            self._template.kill()
            self._template.wait()
            if self._template.stderr:
                self._template.stderr.close()
            self._template = None
