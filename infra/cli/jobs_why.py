"""`redrive jobs why`: why a job is not running."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from redrive.infra.cli.output import out, print_json

Json = Annotated[bool, Parameter(name="--json", negative="")]


def why_command(reference: str, *, as_json: Json = False) -> None:
    """Say why a job is not running, the weightiest reason first.

    Args:
        reference: Its id, the first 8 characters of it, or its name.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs.job import Job
    from redrive.deployments.jobs.why import NAMED, why

    answer = why(reference)
    if as_json:
        print_json({"job": Job.of(answer.run), "causes": answer.causes})
        return
    for cause in answer.causes:
        out.print(cause.said, soft_wrap=True)
        for held in cause.held_by[:NAMED]:
            out.print(f"  redrive jobs show {held}", soft_wrap=True)
        if len(cause.held_by) > NAMED:
            out.print(f"  and {len(cause.held_by) - NAMED} more")
