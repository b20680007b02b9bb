"""`redrive dead list|groups|show|redrive|discard`: the dead letters, and what an operator does with them.

Danger: everything shown is masked; the ledger and Prefect have the real values.
"""

from __future__ import annotations

from cyclopts import App

from redrive.blocks.core.plain_text import plain_line, plain_text
from redrive.blocks.core.settings import settings
from redrive.deployments.care import care_of
from redrive.infra.cli.dead_filter import Json, Which, at_least_one, open_ledger
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

app = App(name="dead", help="Dead letters: see them, understand them, run them again or discard them.")
app.command(
    "redrive.infra.cli.dead_bulk:acts_command",
    name="acts",
    help="List the bulk acts that go on by themselves, or show one.",
)
app.command("redrive.infra.cli.dead_bulk:stop_command", name="stop", help="Stop a bulk act.")
app.command("redrive.infra.cli.dead_note:note_command", name="note", help="Show or write the note about a cause.")
app.command("redrive.infra.cli.dead_acts:redrive_command", name="redrive", help="Run dead letters again.")
app.command("redrive.infra.cli.dead_acts:discard_command", name="discard", help="Give dead letters up.")


@app.command(name="list")
def list_command(
    *,
    which: Which | None = None,
    status: str = "open",
    limit: int = 50,
    as_json: Json = False,
) -> None:
    """List dead letters, the latest first.

    Args:
        status: open, redriven, resolved, discarded or all.
        limit: At most this many.
        as_json: Print JSON.
    """
    asked = (which or Which()).filter(status)
    at_least_one(limit)
    with open_ledger(which) as ledger:
        rows = [row.masked() for row in ledger.find(asked, limit=limit).rows]
        total = ledger.count(asked)
    if as_json:
        print_json(rows)
        return
    # On a narrow terminal the error is what people read; what the filter fixed needs no column.
    mixed = status == "all"
    print_table(
        {
            "ID": "left",
            "JOB": "left",
            "CAUSE": "left",
            **({"STATUS": "left"} if mixed else {}),
            "FAILED": "left",
            "ERROR": "left",
        },
        (
            (
                short,
                row.job,
                row.fingerprint,
                *((row.status,) if mixed else ()),
                ago(row.last_failure),
                _error(row.error_type, row.message),
            )
            for row, short in zip(rows, short_ids(row.id for row in rows), strict=True)
        ),
        none="no dead letters" if mixed else f"no {status} dead letters",
    )
    if total > len(rows):
        out.print(
            f"{len(rows)} of {total}; --limit shows more, `redrive dead groups` shows them by cause", soft_wrap=True
        )


@app.command(name="groups")
def groups_command(
    *,
    which: Which | None = None,
    status: str = "open",
    limit: int = 50,
    as_json: Json = False,
) -> None:
    """List dead letters by cause.

    Args:
        status: open, redriven, resolved, discarded or all.
        limit: At most this many causes.
        as_json: Print JSON.
    """
    asked = (which or Which()).filter(status)
    at_least_one(limit)
    with open_ledger(which) as ledger:
        groups = [group.masked() for group in ledger.groups(asked, limit=limit)]
    if as_json:
        print_json(groups)
        return
    print_table(
        {"CAUSE": "left", "COUNT": "right", "JOBS": "left", "FIRST": "left", "LAST": "left", "ERROR": "left"},
        (
            (
                one.fingerprint,
                one.count,
                ", ".join(one.jobs),
                ago(one.first_seen),
                ago(one.last_seen),
                _error(one.error_type, one.message),
            )
            for one in groups
        ),
        none="no dead letters" if status == "all" else f"no {status} dead letters",
    )


@app.command(name="show")
def show_command(which: str, *, as_json: Json = False) -> None:
    """Show one dead letter: why it failed, what it was asked to do, what was done about it.

    Args:
        which: Its id or its run's, or the first 8 characters of one.
        as_json: Print JSON.
    """
    with open_ledger() as ledger:
        row = ledger.get(which).masked()
        history = [act.masked() for act in ledger.history(row.id)]
    if as_json:
        print_json({"dead_letter": row, "history": history})
        return
    care = care_of(settings().home, row.job)
    print_heading("", row.job, " job ", row.run_name, f" is a dead letter: {row.status}")
    print_fields(
        (
            ("id", row.id),
            ("run", f"{row.run_id}  {settings().run_url(row.run_id)}"),
            ("cause", row.fingerprint),
            ("trace", row.trace_id and (settings().link_to_trace(row.trace_id) or row.trace_id)),
            ("error", f"{row.error_type}: {row.message}"),
            ("in step", row.step),
            ("reason", row.reason),
            ("tries", row.tries or None),
            ("crashes", row.crashes or None),
            ("queue", row.queue),
            ("worker", row.worker),
            ("first failed", f"{row.first_failure:%Y-%m-%d %H:%M:%SZ} ({ago(row.first_failure)})"),
            ("last failed", f"{row.last_failure:%Y-%m-%d %H:%M:%SZ} ({ago(row.last_failure)})"),
            ("owner", care.owner),
            ("runbook", care.runbook),
            ("replaced by", row.replaced_by_run_id),
            ("replaces", row.replaces_run_id),
            ("parameters", one_line(row.parameters)),
        ),
        width=13,
    )
    if row.traceback:
        out.print("traceback")
        out.print("  " + plain_text(row.traceback).rstrip().replace("\n", "\n  "), soft_wrap=True)
    out.print("history")
    for act in history:
        out.print(
            f"  {act.at:%Y-%m-%d %H:%M:%SZ}  {act.what:<13}  {plain_line(act.who)}{f': {plain_line(act.why)}' if act.why else ''}",
            soft_wrap=True,
        )
    if row.status == "open":
        out.print(
            f"run it again with `redrive dead redrive {row.id}`, or give it up with `redrive dead discard {row.id}`",
            soft_wrap=True,
        )


def _error(kind: str, message: str) -> str:
    return f"{kind}: {' '.join(message.split())}"
