"""`redrive jobs list|show|logs|retry|rerun|cancel`: the jobs there are.

Danger: parameters, messages and results are shown masked; the real ones are in Prefect.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from redrive.blocks.core.durations import span
from redrive.blocks.core.plain_text import plain_line
from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.states import DEAD_LETTER
from redrive.deployments.care import care_of
from redrive.infra.cli.output import (
    ago,
    one_line,
    out,
    print_fields,
    print_heading,
    print_json,
    print_table,
    short_ids,
)
from redrive.infra.cli.results import result_text
from redrive.infra.cli.times import since as moment

if TYPE_CHECKING:
    from redrive.blocks.prefect.states import PastState
    from redrive.deployments.jobs.details import Job, JobFilter, Shown

Json = Annotated[bool, Parameter(name="--json", negative="")]
Flag = Annotated[bool, Parameter(negative="")]

app = App(name="jobs", help="List, show, follow, retry, run again and cancel jobs.")
app.command("redrive.infra.cli.jobs_find:find_command", name="find", help="List the jobs that a filter finds.")
app.command("redrive.infra.cli.jobs_find:views", name="views")
app.command("redrive.infra.cli.jobs_logs:logs_command", name="logs", help="Show a job's log, or follow it.")
app.command(
    "redrive.infra.cli.jobs_profile:profile_command",
    name="profile",
    help="Show where a running job's time or memory goes.",
)
app.command("redrive.infra.cli.jobs_slow:slow_command", name="slow", help="Show where the workers' time goes.")
app.command("redrive.infra.cli.jobs_why:why_command", name="why", help="Say why a job is not running.")
app.command("redrive.infra.cli.jobs_acts:cancel_command", name="cancel", help="Cancel jobs: by id, or by a filter.")
app.command(
    "redrive.infra.cli.jobs_acts:rerun_command",
    name="rerun",
    help="Run jobs again that ended: by id, or by a filter.",
)
app.command("redrive.infra.cli.jobs_acts:retry_command", name="retry", help="Try a job now.")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Which:
    """The options that choose jobs, the same in every command."""

    state: Annotated[
        str | None,
        Parameter(
            help="scheduled, waiting, retrying, starting, running, suspended, cancelling, completed, cancelled, crashed, dead "
            "or replaced; or Prefect's name of one, as JSON prints it."
        ),
    ] = None
    job: Annotated[str | None, Parameter(help="Name of the job type.")] = None
    queue: Annotated[str | None, Parameter(help="high, default or low.")] = None
    since: Annotated[str | None, Parameter(help="Due since: 30m, 2h or 1d (ago), or a time.")] = None
    scheduled: Annotated[
        bool, Parameter(negative="", help="Also what schedules made for times to come, which nobody asked for yet.")
    ] = False

    def filter(self) -> JobFilter:
        from redrive.deployments.jobs.details import JobFilter

        return JobFilter(
            state=self.state,
            job=self.job,
            queue=self.queue,
            since=moment(self.since, datetime.now(UTC)),
            scheduled=self.scheduled,
        )


@app.command(name="list")
def list_command(*, which: Which | None = None, limit: int = 50, as_json: Json = False) -> None:
    """List jobs, the latest due first.

    Args:
        limit: At most this many.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs.details import Job, matching

    found = [Job.of(run) for run in matching((which or Which()).filter(), limit=limit)]
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
            (short, one.job, one.queue, one.status, one.tries or "", span(one.seconds), ago(one.due), _name(one))
            for one, short in zip(found, short_ids(one.id for one in found), strict=True)
        ),
        none="no jobs",
    )


@app.command(name="show")
def show_command(reference: str, *, as_json: Json = False) -> None:
    """Show one job: its state, result and history.

    Args:
        reference: Its id, the first 8 characters of it, or its name.
        as_json: Print JSON.
    """
    from redrive.deployments.jobs.details import whole_job

    shown = whole_job(reference)
    job = shown.job
    link = settings().run_url(job.id)
    if as_json:
        result = shown.result
        print_json(
            {
                "job": job,
                "result": result.value if result else None,
                "result_unreadable": result.unreadable if result else None,
                "url": link,
                "history": [_state(one) for one in shown.history],
                "tries": shown.tries,
            }
        )
        return
    print_heading("", job.job, " job ", job.name, f" ({job.id})")
    print_fields(_fields(shown, link), width=12)
    out.print("history")
    for at, name, message in _lines(shown):
        out.print(f"  {at:%Y-%m-%d %H:%M:%SZ}  {plain_line(name):<14} {plain_line(message)}", soft_wrap=True)
    if job.replaced_by:
        out.print(f"what became of it: `redrive jobs show {job.replaced_by}`", soft_wrap=True)
    elif job.state == DEAD_LETTER:
        out.print(f"more with `redrive dead show {job.id}`, again with `redrive dead redrive {job.id}`", soft_wrap=True)


def _fields(shown: Shown, link: str) -> list[tuple[str, object]]:
    job = shown.job
    care = care_of(settings().home, job.job)
    running = job.status == "running"
    cancelled = (
        None
        if job.cancelled_by is None
        else f"{job.cancelled_by}{f': {job.cancel_reason}' if job.cancel_reason else ''}"
    )
    return [
        ("state", f"{job.state}{f': {job.message}' if job.message else ''}"),
        ("error", job.error),
        ("cancelled by", cancelled),
        ("owner", care.owner),
        ("runbook", care.runbook),
        ("replaced by", job.replaced_by),
        ("replaces", job.replaces),
        ("run again as", job.rerun_as),
        ("repeats", job.rerun_of),
        ("link", link),
        ("trace", job.trace_id and (settings().link_to_trace(job.trace_id) or job.trace_id)),
        ("queue", job.queue),
        ("key", job.key),
        ("due", ago(job.due)),
        ("started", ago(job.started)),
        ("ended", ago(job.ended)),
        ("runs for" if running else "ran", span(job.seconds)),
        ("tries spent", job.tries or None),
        ("crashes", job.crashes or None),
        ("worker", job.worker),
        ("parameters", ", ".join(f"{name}={one_line(value)}" for name, value in job.parameters.items())),
        ("result", result_text(shown.result)),
    ]


def _lines(shown: Shown) -> list[tuple[datetime, str, str]]:
    """Its states, and the tries of its steps in between: when, what, and what is said of it."""
    found = [(one.timestamp, one.name, one.message) for one in shown.history]
    for one in shown.tries:
        after = f"; the next after {span(one.next - one.at)}, in the same process" if one.next else ""
        found.append((one.at, "try failed", f"in step {one.step}{after}"))
    return sorted(found, key=lambda line: line[0])


def _state(state: PastState) -> dict[str, Any]:
    return {"at": state.timestamp, "type": state.type, "name": state.name, "message": state.message}


def _name(job: Job) -> str:
    """A dead job that another one replaces needs nobody any more."""
    return f"{job.name}, replaced by {str(job.replaced_by)[:8]}" if job.replaced_by else job.name
