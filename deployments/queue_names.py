"""The queues of work pool `jobs` that there are to be: high, default and low, and a project's own.

Danger: Prefect serves them strictly in this order when a worker polls; the warm worker keeps a share for the later ones.
"""

from __future__ import annotations

from collections.abc import Iterable

from redrive.blocks.core.errors import CatalogError
from redrive.blocks.core.nearest import unknown
from redrive.blocks.core.pool_names import POOL
from redrive.blocks.core.settings import settings
from redrive.deployments.job_type import JobType


def queues() -> dict[str, int]:
    """Each queue with its priority; 1 is served first."""
    return {name: priority for priority, name in enumerate(settings().queues, 1)}


def require_queues(jobs: Iterable[JobType]) -> None:
    """Raises `CatalogError` if a job type names a queue that there is not."""
    there = queues()
    for job in jobs:
        if job.pool == POOL and job.queue not in there:
            raise CatalogError(
                f"job type {job.name!r}: {unknown('queue', job.queue, there)}; "
                f"one of your own is named in REDRIVE_QUEUES={','.join((*there, job.queue))}"
            )
