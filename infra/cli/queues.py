"""`redrive queues list|pause|resume`.

Danger: pausing stops starts, not jobs that run.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import App, Parameter

from redrive.blocks.core.counted import counted
from redrive.infra.cli.output import out, print_json, print_table, span

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
def pause_command(name: str, *, as_json: Json = False) -> None:
    """Start no more jobs of a queue; those that run go on, new ones wait.

    Args:
        name: high, default or low.
        as_json: Print JSON.
    """
    _set(name, paused=True, as_json=as_json)


@app.command(name="resume")
def resume_command(name: str, *, as_json: Json = False) -> None:
    """Start jobs of a paused queue again.

    Args:
        name: high, default or low.
        as_json: Print JSON.
    """
    _set(name, paused=False, as_json=as_json)


def _set(name: str, *, paused: bool, as_json: bool) -> None:
    from redrive.deployments.queues import pause_queue

    queue = pause_queue(name, paused=paused)
    if as_json:
        print_json(queue)
        return
    one = queue.waiting == 1
    said = (
        f"is paused; {counted(queue.waiting, 'job')} wait{'s' if one else ''}"
        if paused
        else f"runs again; {counted(queue.waiting, 'job')} {'is' if one else 'are'} due"
    )
    out.print(f"queue {queue.name} {said}", soft_wrap=True)
