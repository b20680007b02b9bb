"""What the pages of failures show: the matrix by error, queue and time, the totals, and one cause with its jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from redrive.dashboards.console.cause import Cause, causes_of
from redrive.dashboards.console.parts import Parts
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Group, RowsPage
from redrive.deployments.dead_letters.ledger.bulk_acts import BulkAct
from redrive.deployments.dead_letters.ledger.causes import Cell
from redrive.deployments.dead_letters.ledger.quarters import quarter_of
from redrive.deployments.dead_letters.ledger.rows import Status
from redrive.deployments.queue_names import queues as queue_names

#: Rows of one page.
ROWS: Final = 50
#: The times that the failures and their matrix are narrowed to.
SINCE: Final = {"1h": timedelta(hours=1), "24h": timedelta(hours=24)}
#: Errors that the matrix has rows for.
ERRORS: Final = 12
#: The queues, and for each error its cell in each of them.
Matrix = tuple[list[str], list[tuple[str, list[Cell | None]]]]
STATUSES: Final[tuple[Status, ...]] = ("open", "redriven", "resolved", "discarded")


def cause_seen(
    the: Parts, fingerprint: str, status: Status | None, after: str
) -> tuple[Cause, RowsPage[DeadLetter], DeadLetter | None, list[BulkAct]]:
    """A cause, its jobs of that status, its newest one, and the latest bulk acts about it."""
    whole = the.ledger.fingerprint(fingerprint)
    rows = the.ledger.find(Filter(fingerprint=whole, status=status), limit=ROWS, cursor=after or None)
    (found,) = causes_of(the, Filter(fingerprint=whole))
    acts = [act for act in the.ledger.bulk_acts.latest(limit=20) if whole in _about(act)]
    shown: RowsPage[DeadLetter] = RowsPage(rows=tuple(row.masked() for row in rows.rows), next=rows.next)
    return found, shown, _sample(the, found.group), acts


def begin_of(since: str) -> datetime | None:
    """Where a time of the matrix begins: with a quarter of an hour, which the ledger has sums of."""
    return quarter_of(datetime.now(UTC) - SINCE[since]) if since in SINCE else None


def matrix_of(the: Parts) -> Matrix:
    """The queues, and for each error with the most open rows its cell in each."""
    cells = the.ledger.causes.matrix(since=[begin_of(name) or datetime.now(UTC) for name in SINCE])
    order = list(queue_names())
    queues = sorted(
        {cell.queue for cell in cells}, key=lambda name: (order.index(name) if name in order else len(order), name)
    )
    errors = list(dict.fromkeys(cell.error_type for cell in cells))[:ERRORS]
    at = {(cell.error_type, cell.queue): cell for cell in cells}
    return queues, [(error, [at.get((error, queue)) for queue in queues]) for error in errors]


def totals_of(the: Parts) -> dict[str, Any]:
    found: dict[str, int] = dict.fromkeys(STATUSES, 0)
    for total in the.ledger.totals():
        found[total.status] += total.count
    return found


def _sample(the: Parts, group: Group) -> DeadLetter | None:
    rows = the.ledger.find(Filter(fingerprint=group.fingerprint), limit=1).rows
    return rows[0].masked() if rows else None


def _about(act: BulkAct) -> tuple[str, ...]:
    return act.filter.causes or ((act.filter.fingerprint,) if act.filter.fingerprint else ())
