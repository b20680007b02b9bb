"""A job type as its decorated function declares it, and where it is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redrive.blocks.core.errors import CatalogError, ParameterError, PolicyError
from redrive.blocks.core.retry import RetryPolicy
from redrive.deployments.job_type import JobType
from redrive.deployments.schedule import Schedule, schedule
from redrive.flows.engine.job import job, step
from redrive.infra.local.project import module_name

GREET = JobType("greet", entrypoint="my_jobs.greet", policy=RetryPolicy(max_tries=7))


def work(name: str = "world") -> str:
    """Say hello.

    To one at a time.

    Args:
        name: Who is greeted.
    """
    return name


def send_all_() -> None: ...


def test_function_and_options_make_the_job_type() -> None:
    made = job(max_tries=5, backoff=[1, 10], queue="low", memory="1.5GB", tags=["a"], schedule="@daily")(work)

    assert made.job_type == JobType(
        "work",
        entrypoint=f"{__name__}.work",
        description="Say hello.\n\nTo one at a time.",
        policy=RetryPolicy(max_tries=5, backoff=[1, 10]),
        queue="low",
        memory=1536,
        tags=["a"],
        schedules=[Schedule(cron="@daily")],
    )
    assert (made.name, made.retries) == ("work", 0)


def test_bare_decorator_takes_all_from_the_function() -> None:
    made = job(send_all_)

    assert (made.job_type.name, made.job_type.policy, made.job_type.description) == ("send-all", RetryPolicy(), "")


def test_job_type_of_a_catalog_is_the_jobs() -> None:
    assert job(GREET, result_serializer="pickle")(work).job_type is GREET


def test_several_schedules_stand_side_by_side() -> None:
    london = schedule("0 7 * * 1-5", "Europe/London", parameters={"name": "Ada"})

    made = job(schedule=[london, "@hourly"])(work)

    assert made.job_type.schedules == (london, Schedule(cron="@hourly"))


@pytest.mark.parametrize(
    ("decorate", "error", "says"),
    [
        (lambda: job(max_trys=5), CatalogError, "a job has no 'max_trys'; did you mean 'max_tries'?"),
        (lambda: job(GREET, max_tries=5), CatalogError, "a job has no 'max_tries'"),
        (lambda: job(retries=3), CatalogError, "a job has no 'retries'"),
        (lambda: step(max_trys=5), CatalogError, "a step has no 'max_trys'; did you mean 'max_tries'?"),
        (lambda: step(retries=5), CatalogError, "a step has no 'retries'"),
        (lambda: job(max_tries=0)(work), PolicyError, "max_tries=0 cannot work"),
        (lambda: step(max_tries=0), PolicyError, "max_tries=0 cannot work"),
        (lambda: job(policy=RetryPolicy(), jitter=0)(work), CatalogError, "put jitter into the policy"),
        (lambda: step(RetryPolicy(), jitter=0), CatalogError, "put jitter into the policy"),
        (lambda: job(memory="much")(work), CatalogError, "memory: 'much' is no size; write 500MB or 2GB"),
        (lambda: job(schedule="7 o'clock")(work), CatalogError, "is no cron line: it needs five fields"),
        (lambda: job(name="Send All")(work), CatalogError, "lower-case letters"),
        (lambda: JobType("a", entrypoint="a.b", memroy=1), CatalogError, "did you mean 'memory'?"),
    ],
)
def test_option_that_does_not_fit_is_one_sentence(
    decorate: Callable[[], Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as refused:
        decorate()

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [((1, 2), {}, "too many positional arguments"), (("Ada",), {"name": "Ada"}, "got name twice")],
)
def test_call_that_does_not_fit_is_refused_before_anything_is_asked(
    args: tuple[Any, ...], kwargs: dict[str, Any], says: str
) -> None:
    made: Any = job(work)

    with pytest.raises(ParameterError, match=says):
        made.enqueue(*args, **kwargs)
    with pytest.raises(ParameterError, match=says):
        asyncio.run(made.aenqueue(*args, **kwargs))


def test_step_follows_its_job_unless_it_has_a_policy() -> None:
    assert step(work).own is None
    assert step(name="other")(work).own is None
    assert step(max_tries=9)(work).own == RetryPolicy(max_tries=9)
    assert step(RetryPolicy(max_tries=9))(work).retries == 8


@pytest.mark.parametrize(
    ("given", "module"), [("my_jobs", "my_jobs"), ("billing.jobs", "billing.jobs"), ("billing/jobs.py", "billing.jobs")]
)
def test_module_is_named_or_given_by_its_file(
    given: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "billing").mkdir()
    (tmp_path / "billing" / "jobs.py").touch()

    assert module_name(given) == module


@pytest.mark.parametrize(
    ("given", "says"),
    [("nowhere.py", "no file nowhere.py"), ("../outside.py", "outside of this folder"), ("my-jobs.py", "'my-jobs'")],
)
def test_file_that_cannot_be_a_module_is_refused(
    given: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    (tmp_path / "outside.py").touch()
    (project / "my-jobs.py").touch()

    with pytest.raises(CatalogError, match=says):
        module_name(given)
