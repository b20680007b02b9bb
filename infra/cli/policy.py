"""`redrive policy show|set|clear`: by which policy a job type is retried now, and the block that overrides the catalog's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from redrive.blocks.core.errors import NotFound
from redrive.infra.cli.actor import Who, acting
from redrive.infra.cli.output import out, print_fields, print_json

if TYPE_CHECKING:
    from redrive.deployments.policies import Policy

Json = Annotated[bool, Parameter(name="--json", negative="")]

app = App(name="policy", help="Show and override the retry policy of a job type.")


@app.command(name="show")
def show_command(job: str, *, as_json: Json = False) -> None:
    """Show the policy that holds for a job type now, and where each part comes from.

    Args:
        job: Name of the job type.
        as_json: Print JSON.
    """
    from redrive.blocks.prefect.client import reachable
    from redrive.deployments.policies import policy_of

    with reachable():
        found = policy_of(job)
    if found is None:
        raise NotFound(f"no job type is named {job!r}; `redrive check` lists them")
    _print(found, as_json=as_json)


@app.command(name="set")
def set_command(
    job: str,
    *,
    max_tries: int | None = None,
    backoff: list[float] | None = None,
    jitter: float | None = None,
    timeout: float | None = None,
    retry_until: float | None = None,
    max_crashes: int | None = None,
    hold_slot: float | None = None,
    never_on: list[str] | None = None,
    why: str = "",
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Override parts of a job type's policy; what is not named here is the catalog's. Jobs follow it from their next start.

    Args:
        job: Name of the job type.
        max_tries: Tries at most, the first included.
        backoff: Seconds before each further try; may be given several times.
        jitter: 0 to 1.
        timeout: Seconds of one try.
        retry_until: Seconds after the first start in which a try may begin.
        max_crashes: Deaths of its process that are followed by another start.
        hold_slot: Seconds that a wait stays in the process.
        never_on: Class names of errors that are permanent; may be given several times.
        why: Reason, kept in the record.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        as_json: Print JSON.
    """
    from redrive.deployments.policies import override

    values = {
        "max_tries": max_tries,
        "backoff": backoff,
        "jitter": jitter,
        "timeout": timeout,
        "retry_until": retry_until,
        "max_crashes": max_crashes,
        "hold_slot": hold_slot,
        "never_on": never_on,
    }
    _print(override(job, values, by=acting(who, why)), as_json=as_json)


@app.command(name="clear")
def clear_command(job: str, *, why: str = "", who: Who = None, as_json: Json = False) -> None:
    """Take the override away: the catalog's policy holds again.

    Args:
        job: Name of the job type.
        why: Reason, kept in the record.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        as_json: Print JSON.
    """
    from redrive.deployments.policies import override

    _print(override(job, {}, by=acting(who, why)), as_json=as_json)


def _print(found: Policy, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "job": found.job,
                "policy": found.policy.model_dump(),
                "overridden": found.overridden,
                "problem": found.problem,
            }
        )
        return
    print_fields(
        (
            (name, f"{value}{' (block)' if name in found.overridden else ''}")
            for name, value in found.policy.model_dump().items()
        ),
        width=12,
    )
    if found.problem:
        out.print(f"the block is ignored: {found.problem}", soft_wrap=True)
