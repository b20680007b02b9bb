"""`redrive dead acts|stop`: the bulk acts that go on by themselves, as the console asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import NotFound
from redrive.blocks.core.masking import mask_text
from redrive.infra.cli.actor import Who, acting
from redrive.infra.cli.dead_filter import at_least_one, open_ledger
from redrive.infra.cli.output import ago, out, print_fields, print_heading, print_json, print_table, short_ids

if TYPE_CHECKING:
    from redrive.deployments.dead_letters.ledger import Ledger
    from redrive.deployments.dead_letters.ledger.bulk_acts import BulkAct

Json = Annotated[bool, Parameter(name="--json", negative="")]

#: The latest acts, among which one is found by the beginning of its id; and its characters at least.
KNOWN, SHORTEST = 500, 4


def acts_command(act: str | None = None, *, limit: int = 20, as_json: Json = False) -> None:
    """List the bulk acts that go on by themselves, the newest first; or show one with what came of each job.

    Args:
        act: Its id, or the first 8 characters of it.
        limit: At most this many acts, or jobs of one.
        as_json: Print JSON.
    """
    at_least_one(limit)
    with open_ledger() as ledger:
        if act is not None:
            _show(_found(ledger, act), ledger, limit, as_json=as_json)
            return
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


def _show(act: BulkAct, ledger: Ledger, limit: int, *, as_json: bool) -> None:
    from redrive.deployments.dead_letters.ledger import Filter

    rows = [row.masked() for row in ledger.find(Filter(batch=act.id), limit=limit).rows]
    if as_json:
        print_json({"act": act, "jobs": rows})
        return
    print_heading("", f"bulk {act.what}", f" of {counted(act.wanted, 'job')}: {act.state}")
    print_fields(
        (
            ("id", act.id),
            ("who", act.who),
            ("why", act.why),
            ("asked", f"{act.asked:%Y-%m-%d %H:%M:%SZ} ({ago(act.asked)})"),
            ("a second", act.rate),
            ("done", f"{act.done} of {act.wanted}"),
            ("said", act.said),
        ),
        width=8,
    )
    print_table(
        {"ID": "left", "JOB": "left", "NOW": "left", "ERROR": "left"},
        (
            (short, row.job, row.status, f"{row.error_type}: {row.message}")
            for row, short in zip(rows, short_ids(row.id for row in rows), strict=True)
        ),
        none="nothing is done yet",
    )
    for row_id, why in act.failed[:limit]:
        out.print(f"{row_id} stays open: {mask_text(why)}", soft_wrap=True)


def stop_command(act: str, *, who: Who = None, as_json: Json = False) -> None:
    """Stop a bulk act after what is at hand.

    Args:
        act: Its id, or the first 8 characters of it.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        as_json: Print JSON.
    """
    by = acting(who)
    with open_ledger() as ledger:
        found = _found(ledger, act)
        with by.doing("stop", f"bulk act {found.id}"):
            stopped = ledger.bulk_acts.stop(found.id, who=by.who)
    if as_json:
        print_json(stopped)
    else:
        out.print(f"bulk {stopped.what} {str(stopped.id)[:8]} stops after what is at hand", soft_wrap=True)


def _found(ledger: Ledger, act: str) -> BulkAct:
    found = [one for one in ledger.bulk_acts.latest(limit=KNOWN) if str(one.id).startswith(act.lower())]
    if len(found) != 1 or len(act) < SHORTEST:
        raise NotFound(f"there is no bulk act {act!r}; `redrive dead acts` lists them")
    return found[0]
