"""`redrive jobs list|show|retry|cancel`: the jobs there are.

Danger: parameters are shown masked; the real ones are in Prefect.
"""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from redrive.blocks.settings import settings
from redrive.deployments.commands.output import ago, out, print_heading, print_json, print_table, short_ids, span

if TYPE_CHECKING:
    from redrive.deployments.jobs import Job

Json = Annotated[bool, Parameter(name="--json", negative="")]

app = App(name="jobs", help="List, show, retry and cancel jobs.")


@app.command(name="list")
def list_command(
    *,
    state: str | None = None,
    job: str | None = None,
    queue: str | None = None,
    limit: int = 50,
    as_json: Json = False,
) -> None:
    """List jobs, the latest first.

    Args:
        state: waiting, retrying, starting, running, completed, dead, crashed, cancelled or suspended.
        job: Name of the job type.
        queue: high, default or low.
        limit: At most this many.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs import list_jobs

    found = list_jobs(state=state, job=job, queue=queue, limit=limit)
    if as_json:
        print_json(found)
        return
    print_table(
        {
            "ID": "left",
            "JOB": "left",
            "QUEUE": "left",
            "STATE": "left",
            "TRIES": "right",
            "RAN": "right",
            "DUE": "left",
            "NAME": "left",
        },
        (
            (
                short,
                one.job,
                one.queue,
                _state(one),
                one.tries or "",
                span(one.seconds),
                ago(one.due),
                one.name,
            )
            for one, short in zip(found, short_ids(one.id for one in found), strict=True)
        ),
        none="no jobs",
    )


@app.command(name="show")
def show_command(reference: str, *, as_json: Json = False) -> None:
    """Show one job and its history.

    Args:
        reference: Its id, the first 8 characters of it, or its name.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs import show_job

    job, history = show_job(reference)
    if as_json:
        states = [
            {"at": one.timestamp, "type": one.type.value, "name": one.name, "message": one.message} for one in history
        ]
        print_json({"job": job, "history": states})
        return
    print_heading("", job.job, " job ", job.name, f" ({job.id})")
    for label, value in (
        ("state", f"{job.state}{f': {job.message}' if job.message else ''}"),
        ("error", job.error),
        ("replaced by", job.replaced_by),
        ("replaces", job.replaces),
        ("queue", job.queue),
        ("key", job.key),
        ("due", ago(job.due)),
        ("started", ago(job.started)),
        ("ended", ago(job.ended)),
        ("ran", span(job.seconds)),
        ("tries spent", job.tries or None),
        ("crashes", job.crashes or None),
        ("worker", job.worker),
        ("parameters", ", ".join(f"{name}={value!r}" for name, value in job.parameters.items()) or None),
    ):
        if value:
            out.print(f"  {label:<12} {value}", soft_wrap=True)
    out.print("history")
    for state in history:
        at = state.timestamp.strftime("%H:%M:%SZ") if state.timestamp else ""
        out.print(f"  {at}  {state.name:<14} {state.message or ''}", soft_wrap=True)
    if job.replaced_by:
        out.print(f"what became of it: `redrive jobs show {job.replaced_by}`", soft_wrap=True)
    elif job.state == "DeadLetter":
        out.print(f"more with `redrive dead show {job.id}`, again with `redrive dead redrive {job.id}`", soft_wrap=True)


def _state(job: Job) -> str:
    """A dead job that another one replaces needs nobody any more."""
    return f"replaced by {str(job.replaced_by)[:8]}" if job.replaced_by else job.state


@app.command(name="cancel")
def cancel_command(reference: str, *, as_json: Json = False) -> None:
    """Cancel one job: at once if it waits, within seconds if it runs.

    Args:
        reference: Its id, the first 8 characters of it, or its name.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs import cancel_job

    job = cancel_job(reference)
    if as_json:
        print_json(job)
        return
    what = "is being stopped" if job.state == "Cancelling" else "is cancelled"
    out.print(f"{job.job} job {job.name} ({job.id}) {what}")


@app.command(name="retry")
def retry_command(reference: str, *, who: str | None = None, why: str = "", as_json: Json = False) -> None:
    """Try a job now: one that waits for its next try at once, a dead one as a redrive.

    Args:
        reference: Its id, the first 8 characters of it, or its name.
        who: Person, if not the one logged in.
        why: Reason, kept in the history of a dead letter.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs import find_job, retry_now
    from redrive.deployments.ledger import Ledger
    from redrive.deployments.redrive import redrive

    person = who or getpass.getuser()
    run = find_job(reference)
    if run.state is not None and run.state.is_failed():
        with Ledger(settings().ledger_url()) as ledger:
            ledger.migrate()
            redriven = redrive(ledger, run.id, who=person, why=why)
        if as_json:
            print_json(redriven)
        else:
            out.print(f"{redriven.job} job {run.name} ({run.id}) runs again", soft_wrap=True)
        return
    job = retry_now(run.id, who=person)
    if as_json:
        print_json(job)
    else:
        out.print(f"{job.job} job {job.name} ({job.id}) has its next try now", soft_wrap=True)
