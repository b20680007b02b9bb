"""`redrive jobs list|show|cancel`: the jobs there are.

Danger: parameters are shown masked; the real ones are in Prefect.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from redrive.deployments.commands.output import ago, out, print_json, print_table, span

Json = Annotated[bool, Parameter(name="--json", negative="")]

app = App(name="jobs", help="List, show and cancel jobs.")


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
    from redrive.deployments.jobs import list_jobs  # noqa: PLC0415  (Prefect's import, when it is needed)

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
            (str(one.id)[:8], one.job, one.queue, one.state, one.tries or "", span(one.seconds), ago(one.due), one.name)
            for one in found
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
    from redrive.deployments.jobs import show_job  # noqa: PLC0415

    job, history = show_job(reference)
    if as_json:
        states = [
            {"at": one.timestamp, "type": one.type.value, "name": one.name, "message": one.message} for one in history
        ]
        print_json({"job": job, "history": states})
        return
    out.print(f"[b]{job.job}[/b] job [b]{job.name}[/b] ({job.id})")
    for label, value in (
        ("state", f"{job.state}{f': {job.message}' if job.message else ''}"),
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
            out.print(f"  {label:<12} {value}", markup=False, soft_wrap=True)
    out.print("history")
    for state in history:
        at = state.timestamp.strftime("%H:%M:%SZ") if state.timestamp else ""
        out.print(f"  {at}  {state.name:<14} {state.message or ''}", markup=False, soft_wrap=True)


@app.command(name="cancel")
def cancel_command(reference: str, *, as_json: Json = False) -> None:
    """Cancel one job: at once if it waits, within seconds if it runs.

    Args:
        reference: Its id, the first 8 characters of it, or its name.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs import cancel_job  # noqa: PLC0415

    job = cancel_job(reference)
    if as_json:
        print_json(job)
        return
    what = "is being stopped" if job.state == "Cancelling" else "is cancelled"
    out.print(f"{job.job} job {job.name} ({job.id}) {what}", markup=False)
