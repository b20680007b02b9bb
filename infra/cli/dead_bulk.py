"""`redrive dead acts|stop`: the bulk acts that go on by themselves, as the console asks for them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from cyclopts import Parameter

from redrive.blocks.core.errors import NotFound
from redrive.infra.cli.actor import Who, actor
from redrive.infra.cli.dead_filter import open_ledger
from redrive.infra.cli.output import ago, out, print_json, print_table

Json = Annotated[bool, Parameter(name="--json", negative="")]


def acts_command(*, limit: int = 20, as_json: Json = False) -> None:
    """List the bulk acts that go on by themselves, the newest first.

    Args:
        limit: At most this many.
        as_json: Print JSON.
    """
    with open_ledger() as ledger:
        found = ledger.bulk_acts.latest(limit=limit)
    if as_json:
        print_json(found)
        return
    print_table(
        {
            "ID": "left",
            "ACT": "left",
            "WHO": "left",
            "DONE": "right",
            "OF": "right",
            "STATE": "left",
            "ASKED": "left",
            "WHY": "left",
        },
        (
            (str(one.id)[:8], one.what, one.who, one.done, one.wanted, one.state, ago(one.asked), one.why)
            for one in found
        ),
        none="no bulk acts; the console asks for them, and `redrive dead redrive --fingerprint F` acts from here",
    )


def stop_command(act: str, *, who: Who = None, as_json: Json = False) -> None:
    """Stop a bulk act after what is at hand.

    Args:
        act: Its id, or the first 8 characters of it.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        as_json: Print JSON.
    """
    with open_ledger() as ledger:
        found = [one for one in ledger.bulk_acts.latest(limit=500) if str(one.id).startswith(act[:36].lower())]
        if len(found) != 1:
            raise NotFound(f"there is no bulk act {act!r}; `redrive dead acts` lists them")
        stopped = ledger.bulk_acts.stop(UUID(str(found[0].id)), who=actor(who))
    if as_json:
        print_json(stopped)
    else:
        out.print(f"bulk {stopped.what} {str(stopped.id)[:8]} stops after what is at hand", soft_wrap=True)
