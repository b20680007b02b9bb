"""Whether the project's job modules can be loaded: tried in a process of its own, before a running stack is touched.

Danger: what was imported here stays imported, so `up` cannot try it in its own process and see a corrected file later.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points

from redrive.blocks.core.errors import CatalogError
from redrive.blocks.core.settings import Settings
from redrive.deployments.catalog import BUILT_IN, GROUP, complete_catalog
from redrive.deployments.queue_names import require_queues
from redrive.infra.local.project import import_path
from redrive.infra.local.record import project_folder


def check_job_modules(settings: Settings) -> None:
    """See that every job type of the project can be registered and run.

    Raises:
        CatalogError: one cannot; nothing was changed.
    """
    if not settings.jobs and not entry_points(group=GROUP):
        return
    project = project_folder(settings)
    tried = subprocess.run(
        [sys.executable, "-P", "-m", __name__],
        cwd=project,
        env={
            **os.environ,
            "REDRIVE_HOME": str(settings.home),
            "REDRIVE_JOBS": settings.jobs,
            "REDRIVE_QUEUES": ",".join(settings.queues),
            "PYTHONPATH": import_path(project),
            "PREFECT_LOGGING_LEVEL": "ERROR",
        },
        text=True,
        capture_output=True,
        check=False,
    )
    if tried.returncode:
        detail = (tried.stderr.strip().splitlines() or [f"loading them ended with {tried.returncode}"])[-1]
        raise CatalogError(f"{detail.removeprefix('redrive: ')}; nothing was changed")


def main() -> None:
    """Load everything the project lists."""
    try:
        own = {name: job for name, job in complete_catalog().items() if job not in BUILT_IN}
        from redrive.deployments.register import load  # noqa: PLC0415  (Prefect's import, if there is anything to load)

        require_queues(own.values())
        for job in own.values():
            load(job)
    except CatalogError as error:
        sys.exit(f"redrive: {error}")


if __name__ == "__main__":
    main()
