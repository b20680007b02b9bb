"""One act of `redrive jobs cancel|rerun` on many jobs: how many, what is refused, and its place in the record.

Danger: more than `MANY` are acted on only with `--yes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.exit_codes import ExitCode
from redrive.infra.cli.output import err, out, print_json
from redrive.infra.cli.progress import progress

if TYPE_CHECKING:
    from redrive.blocks.prefect.run import Run
    from redrive.deployments.jobs.many import Done
    from redrive.deployments.people.actor import Actor

#: More jobs than this are acted on only when somebody has confirmed their number.
MANY = 10


@dataclass(frozen=True, kw_only=True)
class Many:
    """An act on many: `what` as an order, `done_as` of what was done, `about`: which jobs, for the record."""

    what: str
    done_as: str
    about: str
    by: Actor
    act: Callable[[UUID], object]


def act_on(found: list[Run], many: Many, *, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Do it to each of these, or say what would be done; an exit code."""
    from redrive.deployments.jobs.many import each

    what = many.what
    jobs = counted(len(found), "job")
    if dry_run:
        if as_json:
            print_json(
                {f"would_{what.replace(' ', '_')}": [{"id": run.id, "job": run.job, "name": run.name} for run in found]}
            )
            return ExitCode.OK
        for run in found:
            out.print(f"{run.job} job {run.name} ({run.id}), {run.state_name}", soft_wrap=True)
        out.print(f"would {what} {jobs}" if what == "cancel" else f"{jobs} would {what}")
        return ExitCode.OK
    if len(found) > MANY and not yes:
        raise ParameterError(f"that is {jobs}: say --yes to {what} all of them, or see them with --dry-run")
    with progress(what, len(found)) as moved:
        done = each(found, many.act, progress=moved)
    many.by.did(f"bulk {what}", many.about, f"{done.done:,} of {counted(done.matched, 'job')}")
    return _report(done, many.done_as, as_json=as_json)


def _report(done: Done, done_as: str, *, as_json: bool) -> int:
    if as_json:
        refused = [{"id": job_id, "reason": why} for job_id, why in done.refused]
        print_json(
            {"matched": done.matched, done_as.replace(" ", "_"): done.done, "refused": refused, "stopped": done.stopped}
        )
    else:
        left = done.matched - done.done - len(done.refused)
        stopped = f"; stopped there, {left} left as they were" if done.stopped else ""
        verb = {"cancelled": "is cancelled" if done.done == 1 else "are cancelled"}.get(
            done_as, "runs again" if done.done == 1 else "run again"
        )
        out.print(f"{done.done:,} of {counted(done.matched, 'job')} {verb}{stopped}", soft_wrap=True)
        for _, why in done.refused:
            err.print(f"redrive: {why}", soft_wrap=True)
    if done.stopped:
        return ExitCode.INTERRUPTED
    return ExitCode.CONFLICT if done.refused else ExitCode.OK
