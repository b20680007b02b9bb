"""The template of the sandboxes: a process with the libraries loaded that forks one for each document.

`python -m redrive.flows.documents.template SOCKET FOLDER KIND`, started by `running_template`. A request is one datagram, the format;
with it come the content's file, the file for the answer and a line of the sandbox's own. The line tells how the sandbox ended; when its
other end is closed, the sandbox is killed.

Danger: it has one thread and never touches what a document holds: forked from a process with threads, a sandbox would hang on
locks that nobody opens; and what a document did to the template it would have done to every document after it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redrive.blocks.core.heap import freeze_loaded
from redrive.flows.documents import confinement, formats, reader
from redrive.flows.documents.answer import UNREADABLE, Answer
from redrive.flows.documents.template_kind import Kind
from redrive.flows.documents.warm import PDF_PAGE, warm

#: Bytes of a request.
REQUEST = 256
#: Bytes of a list of children's ids; what does not fit is ended after the next sandbox.
CHILDREN = 64 * 1024
#: Seconds in which the page below must be read.
UNPACKED_IN = 30

_PDFIUM = "kreuzberg-pdfium"


@dataclass
class Sandbox:
    pid: int
    pidfd: int
    line: socket.socket


class Template:
    """Forks, waits and kills; `serve` until the job closes the control socket."""

    def __init__(self, control: socket.socket, folder: Path, place: confinement.Enclosure | None) -> None:
        self._control = control
        self._folder = folder
        self._place = place
        # Open before the template is kept from /proc.
        self._children = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
        self._sandboxes: dict[int, Sandbox] = {}
        self._selector = selectors.DefaultSelector()
        self._pdf_ready = False

    def serve(self) -> None:
        self._selector.register(self._control, selectors.EVENT_READ, self._take)
        open_for_more = True
        while open_for_more:
            for key, _ in self._selector.select():
                open_for_more = key.data() is not False and open_for_more
        for sandbox in self._sandboxes.values():
            os.kill(sandbox.pid, signal.SIGKILL)

    def _take(self) -> bool:
        """One request; False when the job is gone."""
        request, files, _, _ = socket.recv_fds(self._control, REQUEST, 3)
        if not request:
            return False
        mime, (content, answer) = request.decode(), files[:2]
        if mime == formats.PDF and not self._pdf_ready:
            self._prepare_pdf()
        pid = os.fork()
        if not pid:
            _live(content, answer, mime, self._place)
        os.close(content)
        os.close(answer)
        line = socket.socket(fileno=files[2])
        sandbox = Sandbox(pid, os.pidfd_open(pid), line)
        self._sandboxes[pid] = sandbox
        self._selector.register(sandbox.pidfd, selectors.EVENT_READ, lambda: self._ended(sandbox))
        self._selector.register(line, selectors.EVENT_READ, lambda: self._kill(sandbox))
        return True

    def _kill(self, sandbox: Sandbox) -> None:
        """The job gave up waiting; what follows is its end."""
        self._selector.unregister(sandbox.line)
        os.kill(sandbox.pid, signal.SIGKILL)

    def _ended(self, sandbox: Sandbox) -> None:
        _, status = os.waitpid(sandbox.pid, 0)
        self._selector.unregister(sandbox.pidfd)
        os.close(sandbox.pidfd)
        if sandbox.line in self._selector.get_map():
            self._selector.unregister(sandbox.line)
        del self._sandboxes[sandbox.pid]
        self._end_orphans()
        # It cannot be told where the job gave up on it.
        with contextlib.suppress(OSError):
            sandbox.line.send(str(os.waitstatus_to_exitcode(status)).encode())
        sandbox.line.close()

    def _end_orphans(self) -> None:
        """What a sandbox started, and that outlived it."""
        found = os.pread(self._children, CHILDREN, 0)
        for pid in set(map(int, found.split())) - self._sandboxes.keys():
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                continue

    def _prepare_pdf(self) -> None:
        """Have kreuzberg unpack its PDF library, in a process of its own, and load it here for all that are forked later."""
        pid = os.fork()
        if not pid:
            os._exit(_quietly(lambda: formats.extracted(PDF_PAGE, formats.PDF)))
        give_up = time.monotonic() + UNPACKED_IN
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > give_up:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)
        library = self._folder / _PDFIUM / "libpdfium.so"
        if library.exists():
            ctypes.CDLL(str(library))
        self._pdf_ready = True


def _live(content: int, answer: int, mime: str, place: confinement.Enclosure | None) -> None:
    """The life of a sandbox."""
    code = 1
    try:
        confinement.die_with_parent()
        # Nobody reads what it says there.
        os.dup2(1, 2)
        if place is not None:
            place.enter()
        # The lines of others.
        low, high = sorted((content, answer))
        os.closerange(3, low)
        os.closerange(low + 1, high)
        os.closerange(high + 1, os.sysconf("SC_OPEN_MAX"))
        confinement.limit()
        code = _read(content, Answer(answer), mime)
    finally:
        os._exit(code)


def _read(content: int, answer: Answer, mime: str) -> int:
    try:
        with open(content, "rb") as file:
            reader.read(file.read(), answer, mime)
    except formats.Unreadable as error:
        message = str(error)
    except MemoryError:
        message = f"cannot be read: it needs more than {confinement.MEMORY_LIMIT // 1024**2:,} MB of memory; take it out of the folder"
    except RecursionError:
        message = "cannot be read: its parts lie too deep in one another; have it sent again"
    except Exception as error:  # noqa: BLE001  (a parser may raise anything on hostile input, and all of it means the same)
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        message = f"cannot be read ({reason}): have it sent again"
    else:
        return 0
    answer.refuse(message)
    return UNREADABLE


def _quietly(act: Any) -> int:
    try:
        act()
    except Exception:  # noqa: BLE001  (without it every sandbox unpacks the library for itself)
        return 1
    return 0


def main(arguments: list[str]) -> int:
    control, folder = socket.socket(fileno=int(arguments[0])), Path(arguments[1])
    warm(Kind(int(arguments[2])))
    confinement.adopt_orphans()
    confinement.leave_network()
    serving = Template(control, folder, confinement.Enclosure.reading(folder))
    if own := confinement.Enclosure.keeping(folder):
        own.enter()
    # What is there now is never looked at again by a collection, so sandboxes share its memory.
    freeze_loaded()
    control.send(b"ready")
    serving.serve()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
