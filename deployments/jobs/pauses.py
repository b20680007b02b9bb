"""Who paused what keeps a job from its start, and why, as the record of people's acts has it."""

from __future__ import annotations

from contextlib import closing, nullcontext

from redrive.blocks.core.errors import LedgerUnavailable
from redrive.blocks.core.settings import settings
from redrive.deployments.people.people import People, about_queue

#: Of what was paused in Prefect, which keeps no record of who did it.
IN_PREFECT = "by somebody in Prefect, which does not record who"


def paused_by(queue: str, people: People | None = None) -> str:
    """`by ada since 12:00:05Z (the printer is mended until noon)`.

    Args:
        queue: one that is paused now.
        people: where the record is; this process's own connection if None.
    """
    where = nullcontext(people) if people is not None else closing(People(settings().ledger_url()))
    try:
        with where as record:
            pause = record.latest([about_queue(queue)]).get(about_queue(queue))
    except LedgerUnavailable:
        return "by whom cannot be read, as the ledger is unavailable"
    if pause is None or pause.what != "pause":
        return IN_PREFECT
    return f"by {pause.who} since {pause.at:%Y-%m-%d %H:%M:%S}Z ({pause.why or 'without a reason'})"
