"""A job type as a decorated function declares it: its name, description and place come from the function, the rest from options."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from redrive.blocks.core.errors import CatalogError
from redrive.blocks.core.retry import PolicyFields, RetryPolicy
from redrive.deployments.job_type import JobFields, JobType
from redrive.deployments.schedule import Schedule, schedule


class JobOptions(JobFields, PolicyFields, total=False):
    """What the decorator `job` takes of a job type: the fields of `JobType` and, side by side with them, of its policy.

    Attributes:
        name: instead of the function's.
        schedule: one or more; a text is a cron line in UTC.
    """

    name: str
    schedule: Schedule | str | Sequence[Schedule | str]


#: Names of all of them. Annotations are inherited by a TypedDict.
JOB_OPTIONS = tuple(JobOptions.__annotations__)
POLICY_OPTIONS = tuple(PolicyFields.__annotations__)


def declared(function: Callable[..., Any], options: Mapping[str, Any]) -> JobType:
    """The job type of a function.

    Args:
        function: its work.
        options: those of `JobOptions`.

    Raises:
        CatalogError, PolicyError: a value that does not fit; the message names it.
    """
    given = dict(options)
    name = given.pop("name", None) or _name(function)
    policy = policy_of(given, what=f"job {name!r}")
    if "schedule" in given:
        given["schedules"] = (*given.get("schedules", ()), *_schedules(given.pop("schedule")))
    return JobType(
        name,
        entrypoint=f"{_module(function)}.{function.__name__}",
        **{"description": _description(function), **given, **({"policy": policy} if policy else {})},
    )


def policy_of(options: dict[str, Any], *, what: str) -> RetryPolicy | None:
    """The retry policy that options name, whole or field by field, which are taken out of them; None if they name none.

    Args:
        options: of a decorator.
        what: has them, for the message.

    Raises:
        CatalogError: both.
        PolicyError: it cannot work.
    """
    fields = {name: options.pop(name) for name in POLICY_OPTIONS if name in options}
    policy: RetryPolicy | None = options.pop("policy", None)
    if fields and policy is not None:
        raise CatalogError(
            f"{what} has a policy and {', '.join(fields)} beside it: put {next(iter(fields))} into the policy"
        )
    return RetryPolicy(**fields) if fields else policy


def _name(function: Callable[..., Any]) -> str:
    return re.sub(r"_+", "-", function.__name__.strip("_")).lower()


def _module(function: Callable[..., Any]) -> str:
    """Where workers find it; a script that is run by its file is a module of that name elsewhere."""
    if function.__module__ != "__main__":
        return function.__module__
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        return main.__spec__.name
    stem = Path(getattr(main, "__file__", None) or "").stem
    return stem if stem.isidentifier() else "__main__"


def _description(function: Callable[..., Any]) -> str:
    """Its docstring up to the arguments, which the run form shows."""
    text = inspect.getdoc(function) or ""
    return re.split(r"^\s*(?:Args|Arguments|Parameters|Returns|Raises|:param)\b", text, maxsplit=1, flags=re.MULTILINE)[
        0
    ].strip()


def _schedules(given: Schedule | str | Sequence[Schedule | str]) -> list[Schedule]:
    listed = [given] if isinstance(given, Schedule | str) else list(given)
    return [schedule(one) if isinstance(one, str) else one for one in listed]
