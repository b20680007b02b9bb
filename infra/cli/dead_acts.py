"""`redrive dead redrive|discard`: what an operator does with dead letters, with one or with many.

Danger: a filter acts on all open ones that fit at that moment; an empty one acts on none.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import ParameterError
from redrive.blocks.core.exit_codes import ExitCode
from redrive.infra.cli.actor import Who, acting
from redrive.infra.cli.dead_filter import Flag, Ids, Json, Which, at_least_one, open_ledger
from redrive.infra.cli.output import err, out, print_json
from redrive.infra.cli.progress import progress

if TYPE_CHECKING:
    from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Ledger
    from redrive.deployments.people.actor import Actor


def redrive_command(
    ids: Ids = None,
    *,
    which: Which | None = None,
    rate: str | None = None,
    limit: int | None = None,
    params_json: str | None = None,
    why: str = "",
    who: Who = None,
    dry_run: Flag = False,
    as_json: Json = False,
) -> int:
    """Run dead letters again: those named, or all open ones that a filter finds.

    Args:
        ids: Ids of dead letters or their runs, or the first 8 characters of each.
        rate: How fast, as 20/s or 100/m.
        limit: At most this many.
        params_json: Parameters to change, as one JSON object: a new run replaces the old one (one dead letter only).
        why: Reason, kept in the history.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        dry_run: Only say what would be run.
        as_json: Print JSON.
    """
    by = acting(who, why)
    asked = _which(ids, which)
    at_least_one(limit)
    if ids:
        return _redrive_named(ids, by, params_json, dry_run=dry_run, as_json=as_json)
    if params_json is not None:
        raise ParameterError("--params-json edits one dead letter: name its id")
    return _redrive_filtered(asked, which, by, rate=_rate(rate), limit=limit, dry_run=dry_run, as_json=as_json)


def discard_command(
    ids: Ids = None,
    *,
    which: Which | None = None,
    limit: int | None = None,
    why: str = "",
    who: Who = None,
    dry_run: Flag = False,
    as_json: Json = False,
) -> int:
    """Give dead letters up: those named, or all open ones that a filter finds. They stay visible until retention removes them.

    Args:
        ids: Ids of dead letters or their runs, or the first 8 characters of each.
        limit: At most this many.
        why: Reason, kept in the history.
        who: Person, if not the one logged in (or REDRIVE_ACTOR).
        dry_run: Only say what would be discarded.
        as_json: Print JSON.
    """
    by = acting(who, why)
    asked = _which(ids, which)
    at_least_one(limit)
    with open_ledger(which) as ledger:
        if ids:
            rows = [ledger.get(one) for one in ids]
            if not dry_run:
                rows = [_discarded(ledger, row, by) for row in rows]
            count = len(rows)
        else:
            count = ledger.count(asked)
            if limit is not None:
                count = min(count, limit)
            if not dry_run:
                with progress("discarding", count) as moved:
                    count = ledger.discard_all(
                        asked, who=by.who, why=why, at_most=limit, progress=lambda done: moved(done, count)
                    )
                by.did("bulk discard", _about(asked), f"{count:,} discarded")
    if as_json:
        print_json({"discarded": 0 if dry_run else count, "would_discard": count if dry_run else None})
    else:
        out.print(f"{'would discard' if dry_run else 'discarded'} {_letters(count)}")
    return ExitCode.OK


def _discarded(ledger: Ledger, row: DeadLetter, by: Actor) -> DeadLetter:
    from redrive.deployments.people.people import about_job

    with by.doing("discard", about_job(row.run_id)):
        return ledger.discard(row.id, who=by.who, why=by.why)


def _redrive_named(ids: list[str], by: Actor, params_json: str | None, *, dry_run: bool, as_json: bool) -> int:
    from redrive.deployments.dead_letters.redrive import redrive
    from redrive.deployments.people.people import about_job

    edits = _edits(params_json)
    if edits is not None and len(ids) > 1:
        raise ParameterError("--params-json edits one dead letter: name one id")
    done = []
    with open_ledger() as ledger:
        rows = [ledger.get(one) for one in ids]
        for row in rows:
            parameters = None if edits is None else {**row.parameters, **edits}
            if dry_run:
                done.append(row.masked())
                continue
            with by.doing("redrive" if edits is None else "edit and redrive", about_job(row.run_id)):
                result = redrive(ledger, row.id, who=by.who, why=by.why, parameters=parameters)
            done.append(result)  # type: ignore[arg-type]  # one kind or the other, never both
            if not as_json:
                what = (
                    f"runs again with edited parameters as {result.run_id}"
                    if result.edited
                    else f"runs again: {result.run_id}"
                )
                out.print(f"{row.job} job {row.run_name} {what}", soft_wrap=True)
    if as_json:
        print_json(done)
    elif dry_run:
        out.print(f"would run {_letters(len(done))} again")
    return ExitCode.OK


def _redrive_filtered(
    asked: Filter,
    which: Which | None,
    by: Actor,
    *,
    rate: float | None,
    limit: int | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    from redrive.deployments.dead_letters.redrive_many import redrive_all

    with open_ledger(which) as ledger:
        matched = ledger.count(asked)
        if dry_run:
            if as_json:
                print_json({"would_redrive": matched if limit is None else min(matched, limit)})
            else:
                out.print(f"would run {_letters(matched if limit is None else min(matched, limit))} again")
            return ExitCode.OK
        with progress("redriving", matched if limit is None else min(matched, limit)) as moved:
            batch = redrive_all(ledger, asked, who=by.who, why=by.why, rate=rate, at_most=limit, progress=moved)
    by.did("bulk redrive", _about(asked), f"{batch.redriven:,} of {_letters(batch.matched)}")
    if as_json:
        print_json(batch)
    else:
        stopped = (
            f"; stopped there, {batch.matched - batch.redriven - len(batch.failed)} stay open" if batch.stopped else ""
        )
        out.print(
            f"{batch.redriven} of {_letters(batch.matched)} run again (batch {str(batch.id)[:8]}){stopped}",
            soft_wrap=True,
        )
        for row_id, detail in batch.failed:
            err.print(f"redrive: {row_id} stays: {detail}", soft_wrap=True)
    return ExitCode.INTERRUPTED if batch.stopped else ExitCode.OK


def _which(ids: list[str] | None, which: Which | None) -> Filter:
    """The filter that somebody acts by; of ids or a filter exactly one must be given."""
    # An empty text, as from a script's empty variable, is no condition: it would fit everything.
    filtered = which is not None and any(asdict(which).values())
    if ids and filtered:
        raise ParameterError("give ids or a filter, not both")
    if not ids and not filtered:
        raise ParameterError(
            "say which: ids, or a filter such as --fingerprint, --job, --queue, --reason, --error, --text or --since"
        )
    return (which or Which()).filter("open")


def _about(asked: Filter) -> str:
    """How many dead letters are named in the record."""
    from redrive.deployments.dead_letters.ledger.filters import describe

    return "failures " + " ".join(f"{name}:{value}" for name, value in describe(asked).items() if name != "status")


def _edits(text: str | None) -> dict[str, Any] | None:
    from redrive.infra.cli.enqueue import json_parameters

    return None if text is None else json_parameters(text)


def _rate(text: str | None) -> float | None:
    if text is None:
        return None
    number, _, unit = text.partition("/")
    try:
        return float(number) / {"s": 1, "": 1, "m": 60, "min": 60, "h": 3600}[unit]
    except (ValueError, KeyError):
        raise ParameterError(f"--rate {text!r} is no pace; write 20/s, 100/m or 1000/h") from None


def _letters(count: int) -> str:
    return counted(count, "dead letter")
