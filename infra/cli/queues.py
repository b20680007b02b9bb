"""`redrive queues list|pause|resume`.

Danger: pausing stops starts, not jobs that run.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import App, Parameter

from redrive.blocks.core.counted import counted
from redrive.blocks.core.durations import span
from redrive.infra.cli.actor import Who, acting
from redrive.infra.cli.output import out, print_json, print_table

Json = Annotated[bool, Parameter(name="--json", negative="")]

app = App(name="queues", help="List, pause and resume the queues.")


@app.command(name="list")
def list_command(*, as_json: Json = False) -> None:
    """List the queues with what waits in them.

    Args:
        as_json: Print JSON.
    """
    from redrive.deployments.queues import list_queues

    queues = list_queues()
    if as_json:
        print_json(queues)
        return
    print_table(
        {
            "QUEUE": "left",
            "PRIORITY": "right",
            "WAITING": "right",
            "OLDEST": "right",
            "RUNNING": "right",
            "RETRYING": "right",
            "SCHEDULED": "right",
            "LIMIT": "right",
            "STATE": "left",
        },
        (
            (
                one.name,
                one.priority,
                one.waiting,
                span(datetime.now(UTC) - one.oldest) if one.oldest else "",
                one.running,
                one.retrying,
                one.scheduled,
                one.limit,
                "paused" if one.paused else "",
            )
            for one in queues
        ),
        none="no queues; run `redrive up`",
    )


@app.command(name="pause")
def pause_command(name: str, *, why: str = "", who: Who = None, as_json: Json = False) -> None:
    """Start no more jobs of a queue; those that run go on, new ones wait.

    Args:
        name: high, default or low.
        why: Reason, shown to everybody while it is paused.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        as_json: Print JSON.
    """
    _set(name, paused=True, who=who, why=why, as_json=as_json)


@app.command(name="resume")
def resume_command(name: str, *, why: str = "", who: Who = None, as_json: Json = False) -> None:
    """Start jobs of a paused queue again.

    Args:
        name: high, default or low.
        why: Reason, kept in the record.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        as_json: Print JSON.
    """
    _set(name, paused=False, who=who, why=why, as_json=as_json)


def _set(name: str, *, paused: bool, who: Who, why: str, as_json: bool) -> None:
    from redrive.deployments.people.people import about_queue
    from redrive.deployments.queues import pause_queue

    queue = pause_queue(name, paused=paused)
    acting(who, why).did("pause" if paused else "resume", about_queue(name))
    if as_json:
        print_json(queue)
        return
    one = queue.waiting == 1
    detail = (
        f"is paused; {counted(queue.waiting, 'job')} wait{'s' if one else ''}"
        if paused
        else f"runs again; {counted(queue.waiting, 'job')} {'is' if one else 'are'} due"
    )
    out.print(f"queue {queue.name} {detail}", soft_wrap=True)
