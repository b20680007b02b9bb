"""`prefect.yaml`, written from the catalog, so that the file Prefect's own command reads and the catalog cannot drift apart.

`python -m redrive.deployments.prefect_yaml > prefect.yaml` writes it anew; a test compares.

Danger: only our own job types are in it; a project's own belong into that project's file.
"""

from __future__ import annotations

import sys
from typing import Any

import yaml

from redrive.blocks.core.pool_names import POOL
from redrive.deployments.catalog import BUILT_IN
from redrive.deployments.job_type import JobType

HEADER = """\
# What `prefect deploy --all` deploys. Written from the catalog (deployments/catalog.py) by
# `python -m redrive.deployments.prefect_yaml > prefect.yaml`; change the catalog, not this file.
"""


def render() -> str:
    """The file's text."""
    content = {"name": "redrive", "deployments": [_deployment(job) for job in BUILT_IN]}
    return HEADER + yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)


def _deployment(job: JobType) -> dict[str, Any]:
    return {
        "name": job.name,
        "description": job.description,
        "entrypoint": job.entrypoint,
        "tags": list(job.tags),
        "parameters": dict(job.parameters),
        "schedules": [
            {
                "cron": schedule.cron,
                "timezone": schedule.timezone,
                "active": schedule.active,
                "slug": schedule.slug,
                "parameters": dict(schedule.parameters),
            }
            for schedule in job.schedules
        ],
        "work_pool": {
            "name": job.pool,
            "work_queue_name": job.queue if job.pool == POOL else "default",
            "job_variables": job.job_variables,
        },
        # The code is installed, not pulled: a module path is imported where the job runs.
        "pull": [],
    }


if __name__ == "__main__":
    sys.stdout.write(render())
