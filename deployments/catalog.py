"""The catalog: which job types exist, ours and the project's own.

A project's own are found through `REDRIVE_JOBS=my_package.jobs,other.jobs` or the entry point group `redrive.jobs`;
a module's are the functions in it that `job` decorates, and what it names in a list `JOBS`.

Danger: loading the catalog imports those modules, and their mistakes surface here: a broken one is left out and reported, so
that it harms no job of another.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from redrive.blocks.core.errors import CatalogError, RedriveError, UnknownJob
from redrive.blocks.core.nearest import suggestion
from redrive.blocks.core.retry import RetryPolicy, exponential
from redrive.blocks.core.settings import settings
from redrive.deployments.job_type import JobType
from redrive.deployments.schedule import Schedule

GROUP = "redrive.jobs"

BUILT_IN = (
    JobType(
        "documents",
        entrypoint="redrive.flows.documents.documents",
        # Two sandboxes at their own limit of 2 GB, and what reads beside them.
        memory=8192,
        description="Every file of a folder becomes text, metadata and a checksum in the document store.",
        # A file is either readable or not; what passes is a busy disk or a store that was unavailable.
        policy=RetryPolicy(max_tries=3, backoff=(1, 10, 60), timeout=120, retry_until=1800),
    ),
    JobType(
        "sync",
        entrypoint="redrive.flows.sync.sync",
        # Ten times what a stream of any size takes.
        memory=1024,
        description="A CSV, SQLite or HTTP source is synchronised into a database table.",
        policy=RetryPolicy(max_tries=5, backoff=exponential(2, 4, 300), timeout=600, retry_until=3600),
        schedules=(Schedule(cron="*/15 * * * *", timezone="UTC"),),
        tags=("data",),
    ),
    JobType(
        "reports",
        entrypoint="redrive.flows.reports.reports",
        memory=2048,
        description="A query over synchronised data becomes a report as HTML, PDF and XLSX.",
        policy=RetryPolicy(max_tries=3, backoff=(2, 30, 120), timeout=300, retry_until=3600),
        schedules=(Schedule(cron="0 7 * * *", timezone="Europe/London"),),
        tags=("data",),
    ),
    JobType(
        "mail",
        entrypoint="redrive.flows.mail.mail",
        memory=1024,
        description="A template becomes a mail with attachments, sent once.",
        # Greylisting asks senders to come back after some minutes, so a mail job is patient.
        policy=RetryPolicy(max_tries=6, backoff=(1, 5, 60, 300, 900), timeout=60, retry_until=6 * 3600),
        queue="high",
    ),
    JobType(
        "dead-letter-review",
        entrypoint="redrive.flows.dead_letter_review.dead_letter_review",
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


def catalog() -> dict[str, JobType]:
    """All job types by name; what a broken module would list is left out, and `problems` says so."""
    return _loaded()[0]


def problems() -> tuple[str, ...]:
    """One sentence for each module that cannot be imported or lists something else, and each job type named twice."""
    return _loaded()[1]


def complete_catalog() -> dict[str, JobType]:
    """All job types by name.

    Raises:
        CatalogError: one is left out.
    """
    if problems():
        raise CatalogError("; ".join(problems()))
    return catalog()


def forget() -> None:
    """Load the catalog anew when it is asked for."""
    _loaded.cache_clear()


@cache
def _loaded() -> tuple[dict[str, JobType], tuple[str, ...]]:
    found = {job.name: job for job in BUILT_IN}
    wrong: list[str] = []
    for module, origin in _modules():
        try:
            listed = _listed(module, origin, found)
        except CatalogError as error:
            # The jobs of the other modules have nothing to do with it.
            wrong.append(str(error))
            continue
        for job in listed:
            if job.name in found:
                wrong.append(f"{origin}: two job types are named {job.name!r}: give the one in {module} another name")
            else:
                found[job.name] = job
    return found, tuple(wrong)


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
        hint = suggestion(name, jobs, f"known are {', '.join(sorted(jobs))}", written="'{}'")
        if problems():
            hint += f"; left out, because {'; '.join(problems())}"
        raise UnknownJob(f"no job type is named {name!r}; {hint}")
    return jobs[name]


def _modules() -> Iterator[tuple[str, str]]:
    """Each module with job types of the project, and what names it."""
    for name in filter(None, (part.strip() for part in settings().jobs.split(","))):
        yield name, f"REDRIVE_JOBS={name}"
    for point in entry_points(group=GROUP):
        yield point.module, f"entry point {point.name} of {GROUP}"


def _listed(module_name: str, origin: str, found: Mapping[str, JobType]) -> list[JobType]:
    # The `redrive` command starts with its own folder on the path, not with the project's, as `python -m` would.
    project = str(Path.cwd())
    if project not in sys.path:
        sys.path.insert(0, project)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise CatalogError(f"{origin}: importing it failed: {_described(error)}") from error
    jobs = getattr(module, "JOBS", None)
    decorated = _decorated(module)
    if not isinstance(jobs, Iterable) and not decorated:
        raise CatalogError(
            f"{origin}: it has no list JOBS and no job: decorate a function with @job, or write `JOBS = [JobType(...)]`"
        )
    listed = list(jobs) if isinstance(jobs, Iterable) else []
    for job in listed:
        if not isinstance(job, JobType):
            raise CatalogError(f"{origin}: JOBS holds {job!r}, which is no JobType")
    # A module may import another one's job, and a decorator may name one of the list.
    return [*listed, *(job for job in decorated if job not in listed and found.get(job.name) != job)]


def _decorated(module: ModuleType) -> list[JobType]:
    """Job types of the functions that `job` decorates; the decorator itself stands above this folder."""
    found = (inspect.getattr_static(value, "job_type", None) for value in vars(module).values())
    by_name = {job.name: job for job in found if isinstance(job, JobType)}
    return list(by_name.values())


def _described(error: BaseException) -> str:
    """The error in one line, with the line of the project's code where it came up."""
    detail = " ".join(str(error).split())
    kind = "" if isinstance(error, RedriveError) else f"{type(error).__name__}: "
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_projects(frame.filename)]
    place = (
        f" ({Path(ours[-1].filename).name}, line {ours[-1].lineno})"
        if ours and not isinstance(error, SyntaxError)
        else ""
    )
    return f"{kind}{detail}{place}"


def _is_projects(file: str) -> bool:
    path = Path(file)
    others = (
        Path(__file__).parents[1],
        Path(importlib.__file__ or "").parents[1],
    )  # Redrive itself, the standard library
    return path.is_absolute() and "site-packages" not in path.parts and not any(map(path.is_relative_to, others))
