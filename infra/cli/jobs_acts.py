"""`redrive jobs cancel|rerun|retry`: what people do to jobs, to one or to many.

Danger: a filter acts on all that fits at that moment; more than `MANY` are acted on only with `--yes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import Parameter

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.exit_codes import ExitCode
from redrive.blocks.core.settings import settings
from redrive.infra.cli.actor import Who, actor
from redrive.infra.cli.jobs import Flag, Json, Which
from redrive.infra.cli.output import err, out, print_json
from redrive.infra.cli.progress import progress

if TYPE_CHECKING:
    from redrive.blocks.prefect.run import Run
    from redrive.deployments.jobs.many import Done

Ids = Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")]

#: More jobs than this are acted on only when somebody has confirmed their number.
MANY = 10
#: Jobs that one command acts on at most, if not told otherwise: a filter that was meant narrower harms no more.
CAP = 10_000


def cancel_command(
    ids: Ids = None,
    *,
    which: Which | None = None,
    limit: int | None = None,
    why: str = "",
    who: Who = None,
    dry_run: Flag = False,
    yes: Flag = False,
    as_json: Json = False,
) -> int:
    """Cancel jobs, at once if they wait, within seconds if they run: those named, or all that a filter finds.

    Args:
        ids: Ids of jobs, the first 8 characters of each, or their names.
        limit: At most this many.
        why: Reason, kept with each job.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        dry_run: Only say what would be cancelled.
        yes: Do it also when they are many.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs.details import cancel_job
    from redrive.deployments.jobs.states import UNFINISHED

    act = partial(cancel_job, who=actor(who), why=why)
    chosen = _chosen(ids, which)
    if chosen is None:
        found = [_found(one) for one in ids or ()]
        if len(found) == 1 and not dry_run:
            job = act(found[0].id)
            what = "is being stopped" if job.state == "Cancelling" else "is cancelled"
            if as_json:
                print_json(job)
            else:
                out.print(f"{job.job} job {job.name} ({job.id}) {what}", soft_wrap=True)
            return ExitCode.OK
    else:
        if chosen.state is not None and chosen.state not in UNFINISHED:
            raise ParameterError(
                f"jobs that are {chosen.state} are not to be cancelled; give --state {', '.join(UNFINISHED)}, or none for all of these"
            )
        found = _matching(chosen, limit, UNFINISHED)
    return _many(found, act, "cancel", "cancelled", dry_run=dry_run, yes=yes or chosen is None, as_json=as_json)


def rerun_command(
    ids: Ids = None,
    *,
    which: Which | None = None,
    limit: int | None = None,
    why: str = "",
    who: Who = None,
    dry_run: Flag = False,
    yes: Flag = False,
    as_json: Json = False,
) -> int:
    """Run jobs again that ended: those named, or all that a filter finds.

    A job that completed or was cancelled is asked for once more: a new job with the same parameters and a key of its own, so its
    effects happen again; each of the two names the other. A dead job is redriven: the same job, and completed steps stay done.

    Args:
        ids: Ids of jobs, the first 8 characters of each, or their names.
        limit: At most this many.
        why: Reason, kept with each job.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        dry_run: Only say what would run again.
        yes: Do it also when they are many.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs.states import FINISHED

    act = partial(_run_again, who=actor(who), why=why)
    chosen = _chosen(ids, which)
    if chosen is None:
        found = [_found(one) for one in ids or ()]
        if len(found) == 1 and not dry_run:
            run, new = found[0], act(found[0].id)
            if as_json:
                print_json(new)
            else:
                as_what = "" if new["run_id"] == run.id else f" as {new['run_id']}"
                out.print(f"{run.job} job {run.name} ({run.id}) runs again{as_what}", soft_wrap=True)
            return ExitCode.OK
    else:
        if chosen.state not in FINISHED:
            raise ParameterError(f"say which jobs that ended shall run again: --state {', '.join(FINISHED)}")
        found = _matching(chosen, limit, FINISHED)
    return _many(found, act, "run again", "run again", dry_run=dry_run, yes=yes or chosen is None, as_json=as_json)


def retry_command(reference: str, *, who: Who = None, why: str = "", as_json: Json = False) -> None:
    """Try a job now: one that waits for its next try at once, a dead one as a redrive.

    Args:
        reference: Its id, the first 8 characters of it, or its name.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        why: Reason, kept in the history of a dead letter.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs.details import find_job, retry_now

    run = find_job(reference)
    if run.state_type == "FAILED":
        redriven = _run_again(run.id, who=actor(who), why=why)
        if as_json:
            print_json(redriven)
        else:
            out.print(f"{run.job} job {run.name} ({run.id}) runs again", soft_wrap=True)
        return
    job = retry_now(run.id, who=actor(who))
    if as_json:
        print_json(job)
    else:
        out.print(f"{job.job} job {job.name} ({job.id}) has its next try now", soft_wrap=True)


def _run_again(job_id: UUID, *, who: str, why: str) -> dict[str, object]:
    """The same job if it is dead, else a new one."""
    from redrive.deployments.jobs.details import find_job, rerun_job

    if find_job(job_id).state_type != "FAILED":
        return asdict(rerun_job(job_id, who=who, why=why))
    from redrive.deployments.dead_letters.ledger import Ledger
    from redrive.deployments.dead_letters.redrive import redrive

    with Ledger(settings().ledger_url()) as ledger:
        ledger.migrate()
        return asdict(redrive(ledger, job_id, who=who, why=why))


def _chosen(ids: list[str] | None, which: Which | None) -> Which | None:
    """The filter, or None where ids are given; of the two exactly one must be."""
    # An empty text, as from a script's empty variable, is no condition: it would fit everything.
    filtered = which is not None and any(asdict(which).values())
    if ids and filtered:
        raise ParameterError("give ids or a filter, not both")
    if not ids and not filtered:
        raise ParameterError("say which: ids, or a filter such as --state, --job, --queue or --since")
    return None if ids else which


def _found(reference: str) -> Run:
    from redrive.deployments.jobs.details import find_job

    return find_job(reference)


def _matching(chosen: Which, limit: int | None, only: tuple[str, ...]) -> list[Run]:
    from redrive.deployments.jobs.details import matching

    found = matching(chosen.filter(), limit=CAP + 1 if limit is None else limit, only=only)
    if limit is None and len(found) > CAP:
        raise ParameterError(f"more than {CAP:,} jobs fit: narrow the filter, or say how many with --limit")
    return found


def _many(
    found: list[Run], act: Callable[[UUID], object], what: str, done_as: str, *, dry_run: bool, yes: bool, as_json: bool
) -> int:
    from redrive.deployments.jobs.many import each

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
        done = each(found, act, progress=moved)
    return _report(done, done_as, as_json=as_json)


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
