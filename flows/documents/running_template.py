"""A template as the job sees it: started, given orders, ended.

Danger: template and sandboxes stay in the job's process group, so that whoever kills the group (a worker's hard timeout) reaches them;
and they end when their line to the job does, so that they do not outlive it.
"""

from __future__ import annotations

import os
import site
import socket
import subprocess
import sys
from pathlib import Path

from redrive.flows.documents.reading_stopped import ReadingStopped
from redrive.flows.documents.template_kind import Kind

#: Seconds a template may take to load its libraries on a busy machine.
READY = 60

#: What an interpreter needs to find the same packages as ours.
_IMPORTS = ("PATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME")

#: As many sandboxes run as there are cores: in each, threads and their arenas of memory only cost time to make.
_ALONE = {"RAYON_NUM_THREADS": "1", "TOKIO_WORKER_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class RunningTemplate:
    """One process that forks sandboxes; `shared` is the folder it and they may read.

    Raises:
        ReadingStopped: it did not start.
    """

    def __init__(self, kind: Kind, shared: Path) -> None:
        self.kind = kind
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Only what an interpreter needs: the job's environment holds secrets, and documents are hostile.
        environment = {"TMPDIR": str(shared), "HOME": str(shared), "LANG": "C.UTF-8"} | _ALONE
        environment["PYTHONUSERBASE"] = site.getuserbase()
        environment |= {key: os.environ[key] for key in _IMPORTS if key in os.environ}
        with theirs:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-P", "-m", "redrive.flows.documents.template",
                    str(theirs.fileno()), str(shared), str(int(kind)),
                ],
                env=environment,
                cwd=shared,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )  # fmt: skip
        self._control.settimeout(READY)
        try:
            ready = self._control.recv(16)
        except BaseException:
            self.end()
            raise
        if not ready:
            message = self.process.communicate()[1].decode(errors="replace").strip().splitlines()
            self.end()
            raise ReadingStopped(
                f"was not read: the process that starts its readers could not work: {(message or ['?'])[-1]}"
            )

    @property
    def runs(self) -> bool:
        """Whether its process lives."""
        return self.process.poll() is None

    def order(self, mime: str, *files: int) -> None:
        """Have it fork a sandbox.

        Args:
            files: the content, the file for the answer, and the sandbox's end of its line.

        Raises:
            OSError: it is gone, and took no order.
        """
        socket.send_fds(self._control, [mime.encode()], files)

    def end(self) -> None:
        """Kill it, and with it its sandboxes."""
        self._control.close()
        self.process.kill()
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()
