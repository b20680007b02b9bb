"""Redrive: background work on Prefect where no job disappears.

What people import stands here. Nothing is loaded before it is used, so `import redrive` costs milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from redrive import moved

if TYPE_CHECKING:
    from redrive import testing as testing
    from redrive.blocks.core.container import Container as Container
    from redrive.blocks.core.errors import JobFailed as JobFailed
    from redrive.blocks.core.errors import PermanentError as PermanentError
    from redrive.blocks.core.errors import RedriveError as RedriveError
    from redrive.blocks.core.errors import Snooze as Snooze
    from redrive.blocks.core.retry import RetryPolicy as RetryPolicy
    from redrive.deployments.accepted import Accepted as Accepted
    from redrive.deployments.accepted import wait_for as wait_for
    from redrive.deployments.enqueue import enqueue as enqueue
    from redrive.deployments.enqueue import enqueue_many as enqueue_many
    from redrive.deployments.job_request import Item as Item
    from redrive.deployments.job_type import JobType as JobType
    from redrive.deployments.jobs.actions import cancel_job as cancel_job
    from redrive.deployments.jobs.actions import rerun_job as rerun_job
    from redrive.deployments.jobs.actions import retry_now as retry_now
    from redrive.deployments.schedule import schedule as schedule
    from redrive.flows.engine.attempt import current_job as current_job
    from redrive.flows.engine.job import Job as Job
    from redrive.flows.engine.job import job as job
    from redrive.flows.engine.step import step as step

    __version__: str

#: Name: module that has it.
_HOMES = {
    "Accepted": "deployments.accepted",
    "Container": "blocks.core.container",
    "Item": "deployments.job_request",
    "Job": "flows.engine.job",
    "JobFailed": "blocks.core.errors",
    "JobType": "deployments.job_type",
    "PermanentError": "blocks.core.errors",
    "RedriveError": "blocks.core.errors",
    "RetryPolicy": "blocks.core.retry",
    "Snooze": "blocks.core.errors",
    "cancel_job": "deployments.jobs.actions",
    "current_job": "flows.engine.attempt",
    "enqueue": "deployments.enqueue",
    "enqueue_many": "deployments.enqueue",
    "job": "flows.engine.job",
    "rerun_job": "deployments.jobs.actions",
    "retry_now": "deployments.jobs.actions",
    "schedule": "deployments.schedule",
    "step": "flows.engine.step",
    "wait_for": "deployments.accepted",
}

moved.install()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  (half of the time that `import redrive` takes)

        return version("redrive")
    if name == "testing":
        return import_module("redrive.testing")
    if home := _HOMES.get(name):
        try:
            return getattr(import_module(f"redrive.{home}"), name)
        except ModuleNotFoundError as error:
            from redrive.blocks.core.extras import what_to_install  # noqa: PLC0415  (only then)

            if advice := what_to_install(error, f"redrive.{name}"):
                raise ImportError(advice) from error
            raise
    raise AttributeError(f"module 'redrive' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*_HOMES, "__version__", "testing"]
