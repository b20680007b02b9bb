"""`redrive dev my_jobs.py`: the stack with one file's jobs, registered again whenever the project's code changes, and their log.

The worker takes changed code by itself; what is registered is what Prefect shows: signatures, schedules, new jobs.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from redrive.blocks.core.exit_codes import ExitCode
from redrive.blocks.core.plain_text import plain_text
from redrive.blocks.core.settings import settings
from redrive.infra.cli.output import err, out

if TYPE_CHECKING:
    from redrive.blocks.prefect.run import Run
    from redrive.deployments.jobs.logs import JobLog, LogLine

#: Seconds between two polls of files and log.
EVERY = 0.5
#: Folders whose Python is not the project's.
NOT_OURS = frozenset({".venv", "venv", "node_modules", "__pycache__", "site-packages"})


def dev_command(*modules: str) -> int:
    """Start the stack with the jobs of these files, and follow their log; a change of the project's code is taken up at once.

    Args:
        modules: Files or modules with jobs, besides those that the stack remembers.
    """
    from redrive.infra.cli.own_jobs import use_jobs
    from redrive.infra.local.stack import up

    use_jobs(modules, besides=True)
    code = _code(Path.cwd())
    try:
        up(settings(), lambda line: out.print(line, soft_wrap=True))
        out.print(
            "following the log of all jobs; a change of the code is taken up at once; Ctrl-C leaves", soft_wrap=True
        )
        log = _Log()
        while True:
            log.show()
            changed = _code(Path.cwd())
            if changed != code:
                code = changed
                _register()
            time.sleep(EVERY)
    except KeyboardInterrupt:
        out.print("left; the stack goes on, and `redrive down` stops it", soft_wrap=True)
        return ExitCode.OK


def _register() -> None:
    """In a process of its own: what is imported here stays as it was."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "redrive.infra.cli.main", "up"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        err.print(done.stderr.strip(), soft_wrap=True)
        return
    registered = next((line for line in done.stdout.splitlines() if " deployments: " in line), "")
    out.print(f"the code changed; {registered or 'registered again'}", soft_wrap=True)


class _Log:
    """The log of all jobs from now on, each line with its job."""

    def __init__(self) -> None:
        from redrive.deployments.jobs.logs import JobLog

        self._log: JobLog = JobLog(None, level=logging.INFO, since=datetime.now(UTC))
        self._runs: dict[UUID, Run] = {}

    def show(self) -> None:
        from redrive.blocks.core.errors import ApiUnavailable
        from redrive.blocks.prefect import runs
        from redrive.blocks.prefect.client import reachable

        try:
            with reachable():
                lines = list(self._log.read())
                new = {line.job_id for line in lines if line.job_id} - self._runs.keys()
                self._runs |= runs.by_id(list(new)) if new else {}
        except ApiUnavailable as error:
            err.print(f"redrive: {error}", soft_wrap=True)
            return
        for line in lines:
            self._print(line)

    def _print(self, line: LogLine) -> None:
        run = self._runs.get(line.job_id) if line.job_id else None
        if run is None:
            return
        head = f"{line.at.astimezone():%H:%M:%S} {run.job} {run.name}  "
        message = plain_text(line.message).rstrip("\n").replace("\n", f"\n{'':<{len(head)}}")
        out.print(f"{head}{message}", soft_wrap=True)


def _code(project: Path) -> dict[str, int]:
    """The project's Python files with when each was last changed."""
    found = {}
    for folder, folders, files in os.walk(project):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.startswith(".")]
        for name in files:
            if name.endswith(".py"):
                path = Path(folder, name)
                # Editors replace a file by another one.
                with suppress(OSError):
                    found[str(path)] = path.stat().st_mtime_ns
    return found
