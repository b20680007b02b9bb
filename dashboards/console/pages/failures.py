"""Failures: the dead letters by cause; one cause with its jobs; redrive or discard one, some, or all that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from redrive.blocks.core.counted import counted
from redrive.blocks.core.errors import LedgerUnavailable, ParameterError
from redrive.dashboards.console.access.guard import Fields, Form, Operator, one
from redrive.dashboards.console.answers import done
from redrive.dashboards.console.cause import GROUPS, Cause, causes_of
from redrive.dashboards.console.pages.failures_seen import (
    SINCE,
    STATUSES,
    Matrix,
    begin_of,
    cause_seen,
    matrix_of,
    totals_of,
)
from redrive.dashboards.console.parts import The
from redrive.dashboards.console.shown import page, with_query
from redrive.dashboards.console.values import number
from redrive.deployments.dead_letters.bulk_runner import ask
from redrive.deployments.dead_letters.ledger import Filter, Ledger
from redrive.deployments.dead_letters.ledger.bulk_acts import BulkAct, What
from redrive.deployments.dead_letters.ledger.rows import Status

router = APIRouter()

#: Seconds that what is read is shared by all who look.
SHARED: Final = 3.0
#: The same of bulk acts, and of the page of a cause with the jobs that they act on.
ACTS_SHARED: Final = 1.0
#: Rows that are looked at to count those with a text, the newest.
COUNTED: Final = 10_000
#: Seconds that a count of rows is shared.
COUNT_SHARED: Final = 15.0


@router.get("/failures")
def failures(
    request: Request,
    the: The,
    status: str = "open",
    queue: str = "",
    job: str = "",
    error: str = "",
    text: str = "",
    since: str = "",
) -> Response:
    given = {"queue": queue, "job": job, "error": error, "text": text, "since": since}
    asked = _filter(status, **given)

    def read() -> tuple[list[Cause], dict[str, int], Matrix, list[BulkAct]]:
        get, acts = the.memo.get, the.ledger.bulk_acts
        return (
            get(("causes", asked), SHARED, lambda: causes_of(the, asked)),
            get(("totals",), SHARED, lambda: totals_of(the)),
            get(("matrix",), SHARED, lambda: matrix_of(the)),
            get(("bulk", "running"), ACTS_SHARED, lambda: acts.latest(limit=5, running=True)),
        )

    causes, totals, matrix, running = the.together(read)
    fitting = the.memo.get(("fit", asked), SHARED, lambda: fitting_of(the.ledger, asked, causes))
    return page(
        request,
        "failures.html",
        causes=causes,
        totals=totals,
        chosen={"status": status, **given},
        statuses=[
            (name, with_query("/failures", {"status": name, **given}), name == status) for name in (*STATUSES, "all")
        ],
        matrix=matrix,
        times=[
            (name or "any time", with_query("/failures", {"status": status, **given, "since": name}), name == since)
            for name in ("", *SINCE)
        ],
        fitting=fitting,
        running=running,
    )


@router.get("/failures/fitting")
def fitting(
    the: The, status: str = "open", queue: str = "", job: str = "", error: str = "", text: str = "", since: str = ""
) -> Response:
    """How many fit, after the page is there: a text is counted slower than it is found."""
    asked = _filter(status, queue=queue, job=job, error=error, text=text, since=since)
    try:
        found, whole = the.memo.get(
            ("fitting", asked), COUNT_SHARED, lambda: the.ledger.count_newest(asked, among=COUNTED)
        )
    except LedgerUnavailable:
        return Response(status_code=204)  # the page says so
    return HTMLResponse(f"{number(found)}{'' if whole else '+'}")


@router.get("/failures/{fingerprint}")
def cause(request: Request, the: The, fingerprint: str, status: str = "open", after: str = "") -> Response:
    wanted = _status(status)
    key = ("cause", fingerprint, wanted, after)
    found, rows, sample, acts = the.together(
        lambda: the.memo.get(key, ACTS_SHARED, lambda: cause_seen(the, fingerprint, wanted, after))
    )
    here = f"/failures/{found.group.fingerprint}"
    return page(
        request,
        "cause.html",
        cause=found,
        group=found.group,
        rows=rows.rows,
        sample=sample,
        status=status,
        statuses=[(name, f"{here}?status={name}", name == status) for name in (*STATUSES, "all")],
        more=with_query(here, {"status": status, "after": rows.next}) if rows.next else None,
        after=after,
        acts=acts,
    )


@router.post("/failures/bulk/{what}")
def bulk(request: Request, the: The, who: Operator, form: Fields, what: str) -> Response:
    """Redrive or discard all open ones that fit now: of these causes, these rows, or this filter."""
    if what not in {"redrive", "discard"}:
        raise ParameterError(f"there is no bulk act {what!r}")
    asked, rate, why = _asked(form), _rate(one(form, "rate")), one(form, "why")
    if one(form, "dry_run"):
        number = the.ledger.count(asked.model_copy(update={"status": "open"}))
        return done(request, f"Would {what} {counted(number, 'job')}; nothing was done.", kind="")
    act = ask(the.ledger, _what(what), asked, who=who.name, why=why, rate=rate if what == "redrive" else None)
    the.people.record(
        who=who.name,
        what=f"bulk {what}",
        about=f"bulk act {act.id}",
        why=why,
        outcome=f"{counted(act.wanted, 'job')} asked for",
    )
    the.bulk.wake()
    the.forget()
    return done(
        request,
        f"{'Redriving' if what == 'redrive' else 'Discarding'} {counted(act.wanted, 'job')}.",
        to=f"/acts/{act.id}",
    )


@router.post("/failures/{fingerprint}/note")
def note(request: Request, the: The, who: Operator, form: Fields, fingerprint: str) -> Response:
    whole = the.ledger.fingerprint(fingerprint)
    the.ledger.causes.write_note(whole, one(form, "note"), who=who.name)
    the.people.record(who=who.name, what="note", about=f"cause {whole}", why=one(form, "note"))
    the.forget()
    return done(request, "The note is kept.")


def _asked(form: Form) -> Filter:
    """Which: rows, causes, or what a filter finds; never everything by mistake."""
    try:
        ids = tuple(UUID(one_id) for one_id in form.get("id", []))
    except ValueError:
        raise ParameterError("that is no id of a dead letter") from None
    causes = tuple(form.get("cause", []))
    conditions = {name: one(form, name) or None for name in ("queue", "job", "text")}
    conditions["error_type"] = one(form, "error") or None
    since = begin_of(one(form, "since"))
    if ids:
        return Filter(ids=ids)
    if causes:
        return Filter(causes=causes, since=since, **conditions)
    if any(conditions.values()) or one(form, "all"):
        return Filter(since=since, **conditions)
    raise ParameterError("mark at least one row first")


def _status(text: str) -> Status | None:
    return next((known for known in STATUSES if known == text), None)


def _filter(status: str, *, queue: str, job: str, error: str, text: str, since: str) -> Filter:
    return Filter(
        status=_status(status),
        queue=queue or None,
        job=job or None,
        error_type=error or None,
        text=text or None,
        since=begin_of(since),
    )


def fitting_of(ledger: Ledger, asked: Filter, causes: Sequence[Cause]) -> int | None:
    """How many are open among those that fit; None where only counting the rows would tell."""
    if any(cause.group.partial for cause in causes) or (asked.needs_rows and len(causes) == GROUPS):
        return None
    return sum(cause.group.open for cause in causes) if len(causes) < GROUPS else ledger.count(asked)


def _rate(text: str) -> float | None:
    """Jobs a second of a pace such as `20/s` or `100/m`; none for as fast as it goes."""
    if not text:
        return None
    number, _, unit = text.partition("/")
    try:
        return float(number) / {"s": 1, "": 1, "m": 60, "h": 3600}[unit.strip()]
    except (ValueError, KeyError):
        raise ParameterError(f"{text!r} is no pace; write 20/s, 100/m or 1000/h") from None


def _what(text: str) -> What:
    return "redrive" if text == "redrive" else "discard"
