"""`redrive jobs cancel|rerun|retry`: what people do to jobs, to one or to many.

Danger: a filter acts on all that fits at that moment.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import Parameter

from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.exit_codes import ExitCode
from redrive.blocks.core.settings import settings
from redrive.infra.cli.actor import Who, acting
from redrive.infra.cli.jobs import Flag, Json, Which
from redrive.infra.cli.jobs_many import Many, act_on
from redrive.infra.cli.output import out, print_json

if TYPE_CHECKING:
    from redrive.blocks.prefect.run import Run
    from redrive.deployments.people.actor import Actor

Ids = Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")]

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
    from redrive.deployments.people.people import about_job

    by = acting(who, why)
    act = partial(cancel_job, who=by.who, why=why)
    chosen = _chosen(ids, which)
    if chosen is None:
        found = [_found(one) for one in ids or ()]
        if len(found) == 1 and not dry_run:
            with by.doing("cancel", about_job(found[0].id)):
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
    many = Many(what="cancel", done_as="cancelled", about=_about(chosen), by=by, act=act)
    return act_on(found, many, dry_run=dry_run, yes=yes or chosen is None, as_json=as_json)


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

    by = acting(who, why)
    act = partial(_run_again, who=by.who, why=why)
    chosen = _chosen(ids, which)
    if chosen is None:
        found = [_found(one) for one in ids or ()]
        if len(found) == 1 and not dry_run:
            run, new = found[0], _one_again(found[0], by)
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
    many = Many(what="run again", done_as="run again", about=_about(chosen), by=by, act=act)
    return act_on(found, many, dry_run=dry_run, yes=yes or chosen is None, as_json=as_json)


def retry_command(reference: str, *, who: Who = None, why: str = "", as_json: Json = False) -> None:
    """Try a job now: one that waits for its next try at once, a dead one as a redrive.

    Args:
        reference: Its id, the first 8 characters of it, or its name.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        why: Reason, kept in the history of a dead letter.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs.details import find_job, retry_now
    from redrive.deployments.people.people import about_job

    by = acting(who, why)
    run = find_job(reference)
    if run.state_type == "FAILED":
        redriven = _one_again(run, by)
        if as_json:
            print_json(redriven)
        else:
            out.print(f"{run.job} job {run.name} ({run.id}) runs again", soft_wrap=True)
        return
    with by.doing("retry now", about_job(run.id)):
        job = retry_now(run.id, who=by.who)
    if as_json:
        print_json(job)
    else:
        out.print(f"{job.job} job {job.name} ({job.id}) has its next try now", soft_wrap=True)


def _one_again(run: Run, by: Actor) -> dict[str, object]:
    from redrive.deployments.people.people import about_job

    with by.doing("redrive" if run.state_type == "FAILED" else "run again", about_job(run.id)):
        return _run_again(run.id, who=by.who, why=by.why)


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


def _about(chosen: Which | None) -> str:
    """How many jobs are named in the record."""
    if chosen is None:
        return "jobs that were named"
    return "jobs " + " ".join(f"{name}:{value}" for name, value in asdict(chosen).items() if value)


def _found(reference: str) -> Run:
    from redrive.deployments.jobs.details import find_job

    return find_job(reference)


def _matching(chosen: Which, limit: int | None, only: tuple[str, ...]) -> list[Run]:
    from redrive.deployments.jobs.details import matching

    found = matching(chosen.filter(), limit=CAP + 1 if limit is None else limit, only=only)
    if limit is None and len(found) > CAP:
        raise ParameterError(f"more than {CAP:,} jobs fit: narrow the filter, or say how many with --limit")
    return found
