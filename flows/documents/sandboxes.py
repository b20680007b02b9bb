"""Has documents read in sandboxes: disposable processes forked from warm templates, one per document, any number at once."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from redrive.flows.documents.answer import UNREADABLE
from redrive.flows.documents.formats import Unreadable
from redrive.flows.documents.made import Made
from redrive.flows.documents.reading_stopped import ReadingStopped, ReadingTimedOut
from redrive.flows.documents.running_template import READY, RunningTemplate
from redrive.flows.documents.template_kind import Kind

#: Seconds one document may take; a 1,000-page PDF takes about 2.
WALL_LIMIT = 90
#: Bytes of a reason that are read.
_MESSAGE_LIMIT = 2000

#: Signals by which the kernel or the C library ends a process that broke its limits or its memory: the document's fault.
_AT_FAULT = {
    signal.SIGXCPU: "it needs more processor time than a document may take",
    signal.SIGXFSZ: "its text is larger than a document's can be",
    signal.SIGABRT: "it cannot be read within the memory a document may take",
    signal.SIGSEGV: "the reader crashed on it",
    signal.SIGBUS: "the reader crashed on it",
    signal.SIGILL: "the reader crashed on it",
}


class Sandboxes:
    """Templates and their sandboxes, from `with` to its end; `extracted` may be called from several threads."""

    def __init__(self) -> None:
        self._home = Path()
        self._lock = threading.Lock()
        self._templates: list[RunningTemplate] = []
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
            self._end(*self._templates)
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
                raise Unreadable(os.pread(answer.fileno(), _MESSAGE_LIMIT, 0).decode(errors="replace"))
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
                    self._end(*self._templates)
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
        """Have a template fork a sandbox. One that was killed while nobody looked took no order: another one gets it."""
        template = self._ready_template(mime)
        try:
            template.order(mime, *files)
        except (ConnectionResetError, BrokenPipeError):
            self._end(template)
            self._ready_template(mime).order(mime, *files)

    def _ready_template(self, mime: str) -> RunningTemplate:
        """The lightest of those that run and can have it read; a new one if there is none."""
        if self._closed:
            raise ReadingStopped("was not read: the job was stopped")
        self._end(*(template for template in self._templates if not template.runs))
        wanted = Kind.of(mime)
        fit = [template for template in self._templates if template.kind >= wanted]
        if not fit:
            fit = [RunningTemplate(wanted, self._home / "shared")]
            self._templates += fit
        return min(fit, key=lambda template: template.kind)

    def _end(self, *templates: RunningTemplate) -> None:
        for template in templates:
            template.end()
            self._templates.remove(template)
