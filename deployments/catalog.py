"""The catalog: which job types exist, ours and the project's own.

A project's own are found through `REDRIVE_JOBS=my_package.jobs,other.jobs` or the entry point group `redrive.jobs`;
every module names them in a list `JOBS`.

Danger: loading the catalog imports those modules, and their mistakes surface here; they are reported with the module's name.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from redrive.blocks.errors import CatalogError, UnknownJob
from redrive.blocks.retry import RetryPolicy, exponential
from redrive.blocks.settings import settings
from redrive.deployments.job_type import JobType, Schedule

GROUP = "redrive.jobs"

BUILT_IN = (
    JobType(
        "documents",
        entrypoint="redrive.flows.documents.documents",
        description="Every file of a folder becomes text, metadata and a checksum in the document store.",
        # A file is either readable or not; what passes is a busy disk or a store that was away.
        policy=RetryPolicy(max_tries=3, backoff=(1, 10, 60), timeout=120, retry_until=1800),
    ),
    JobType(
        "sync",
        entrypoint="redrive.flows.sync.sync",
        description="A CSV, SQLite or HTTP source is synchronised into a database table.",
        policy=RetryPolicy(max_tries=5, backoff=exponential(2, 4, 300), timeout=600, retry_until=3600),
        schedules=(Schedule(cron="*/15 * * * *", timezone="UTC"),),
        tags=("data",),
    ),
    JobType(
        "reports",
        entrypoint="redrive.flows.reports.reports",
        description="A query over synchronised data becomes a report as HTML, PDF and XLSX.",
        policy=RetryPolicy(max_tries=3, backoff=(2, 30, 120), timeout=300, retry_until=3600),
        schedules=(Schedule(cron="0 7 * * *", timezone="Europe/London"),),
        tags=("data",),
    ),
    JobType(
        "mail",
        entrypoint="redrive.flows.mail.mail",
        description="A template becomes a mail with attachments, sent once.",
        # Greylisting asks senders to come back after some minutes, so a mail job is patient.
        policy=RetryPolicy(max_tries=6, backoff=(1, 5, 60, 300, 900), timeout=60, retry_until=6 * 3600),
        queue="high",
    ),
    JobType(
        "dead-letter-review",
        entrypoint="redrive.flows.dead_letters.dead_letter_review",
        description="Open dead letters by cause; run it yourself and it asks what to do with them.",
        policy=RetryPolicy(max_tries=3, backoff=(2, 30), timeout=3600, retry_until=None),
        pool="ops",
        schedules=(Schedule(cron="0 * * * *", timezone="UTC", parameters={"ask": False}),),
    ),
    JobType(
        "prune",
        entrypoint="redrive.flows.prune.prune",
        description="Housekeeping: finished runs and closed dead letters older than the retention are deleted.",
        policy=RetryPolicy(max_tries=2, backoff=(60,), timeout=1800, retry_until=None),
        pool="ops",
        schedules=(Schedule(cron="30 3 * * *", timezone="UTC"),),
    ),
)


@cache
def catalog() -> dict[str, JobType]:
    """All job types by name.

    Raises:
        CatalogError: a module that cannot be imported or lists something else, or two job types of one name.
    """
    found: dict[str, JobType] = {}
    for origin, job in _all():
        if job.name in found:
            raise CatalogError(f"two job types are named {job.name!r}; the second is in {origin}: give it another name")
        found[job.name] = job
    return found


def job_type(name: str) -> JobType:
    """The job type of that name.

    Raises:
        UnknownJob: there is none; the message names the nearest.
    """
    for job in BUILT_IN:
        # Our own flows ask for their job type while they are imported, which must not import everybody else's.
        if job.name == name:
            return job
    jobs = catalog()
    if name not in jobs:
        close = difflib.get_close_matches(name, jobs, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(jobs))}"
        raise UnknownJob(f"no job type is named {name!r}; {hint}")
    return jobs[name]


def _all() -> Iterator[tuple[str, JobType]]:
    yield from (("Redrive itself", job) for job in BUILT_IN)
    for name in filter(None, (part.strip() for part in settings().jobs.split(","))):
        yield from _listed(name, f"REDRIVE_JOBS={name}")
    for point in entry_points(group=GROUP):
        yield from _listed(point.module, f"entry point {point.name} of {GROUP}")


def _listed(module_name: str, origin: str) -> Iterator[tuple[str, JobType]]:
    # The `redrive` command starts with its own folder on the path, not with the project's, as `python -m` would.
    project = str(Path.cwd())
    if project not in sys.path:
        sys.path.insert(0, project)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise CatalogError(f"{origin}: importing it failed: {type(error).__name__}: {error}") from error
    jobs = getattr(module, "JOBS", None)
    if not isinstance(jobs, Iterable):
        raise CatalogError(f"{origin}: it has no list JOBS; write `JOBS = [JobType(...), ...]` in it")
    for job in jobs:
        if not isinstance(job, JobType):
            raise CatalogError(f"{origin}: JOBS holds {job!r}, which is no JobType")
        yield module_name, job
