"""`redrive schedules list|pause|resume|run`: what starts by itself."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from redrive.infra.cli.actor import Who, acting
from redrive.infra.cli.output import ago, out, print_json, print_table

Json = Annotated[bool, Parameter(name="--json", negative="")]

app = App(name="schedules", help="List, pause and resume schedules; start a schedule's job now.")


@app.command(name="list")
def list_command(*, as_json: Json = False) -> None:
    """List the schedules with their next start.

    Args:
        as_json: Print JSON.
    """
    from redrive.deployments.jobs.job import Job
    from redrive.deployments.schedules import list_schedules

    found = list_schedules()
    if as_json:
        print_json(
            [
                {
                    "id": one.id,
                    "job": one.job,
                    "line": one.line,
                    "timezone": one.timezone,
                    "active": one.active,
                    "next": one.next,
                    "last": Job.of(one.last) if one.last else None,
                }
                for one in found
            ]
        )
        return
    print_table(
        {"ID": "left", "JOB": "left", "LINE": "left", "ZONE": "left", "NEXT": "left", "LAST": "left", "STATE": "left"},
        (
            (
                one.id[:8],
                one.job,
                one.line,
                one.timezone,
                ago(one.next[0]) if one.next else "",
                one.last.state_name if one.last else "",
                "" if one.active else "paused",
            )
            for one in found
        ),
        none="no schedules; job types name theirs in the catalog",
    )


@app.command(name="pause")
def pause_command(schedule: str, *, why: str = "", who: Who = None, as_json: Json = False) -> None:
    """Start no more jobs of a schedule; those that were made go on.

    Args:
        schedule: Its id, the first characters of it, or the name of a job type with one schedule.
        why: Reason, kept in the record.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        as_json: Print JSON.
    """
    _set(schedule, active=False, who=who, why=why, as_json=as_json)


@app.command(name="resume")
def resume_command(schedule: str, *, why: str = "", who: Who = None, as_json: Json = False) -> None:
    """Let a paused schedule start jobs again.

    Args:
        schedule: Its id, the first characters of it, or the name of a job type with one schedule.
        why: Reason, kept in the record.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        as_json: Print JSON.
    """
    _set(schedule, active=True, who=who, why=why, as_json=as_json)


@app.command(name="run")
def run_command(schedule: str, *, why: str = "", who: Who = None, as_json: Json = False) -> None:
    """Start the job of a schedule now, beside its own starts.

    Args:
        schedule: Its id, the first characters of it, or the name of a job type with one schedule.
        why: Reason, kept in the record.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        as_json: Print JSON.
    """
    from redrive.deployments.schedules import run_now

    accepted = run_now(schedule, by=acting(who, why))
    if as_json:
        print_json(accepted)
    else:
        out.print(f"{accepted.job} job {accepted.name} is accepted: {accepted.id}", soft_wrap=True)


def _set(schedule: str, *, active: bool, who: Who, why: str, as_json: bool) -> None:
    from redrive.deployments.schedules import set_schedule

    found = set_schedule(schedule, active=active, by=acting(who, why))
    if as_json:
        print_json({"id": found.id, "job": found.job, "active": active})
    else:
        out.print(f"schedule {found.line} of {found.job} {'runs again' if active else 'is paused'}", soft_wrap=True)
