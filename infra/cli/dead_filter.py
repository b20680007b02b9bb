"""The options that choose dead letters, the same in every command of `redrive dead`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from redrive.blocks.core.errors import ApiUnavailable, ParameterError
from redrive.blocks.core.nearest import unknown
from redrive.blocks.core.settings import settings
from redrive.deployments.queue_names import queues
from redrive.infra.cli.times import since as moment

if TYPE_CHECKING:
    from redrive.deployments.dead_letters.ledger import Filter, Ledger

STATUSES = ("open", "redriven", "resolved", "discarded", "all")
REASONS = ("tries", "permanent", "deadline", "crash", "unstartable", "cancelled")

Json = Annotated[bool, Parameter(name="--json", negative="")]
Flag = Annotated[bool, Parameter(negative="")]
Ids = Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Which:
    """The options that choose dead letters, the same in every command."""

    fingerprint: Annotated[str | None, Parameter(help="Cause, or its first digits (see `redrive dead groups`).")] = None
    job: Annotated[str | None, Parameter(help="Name of the job type.")] = None
    queue: Annotated[str | None, Parameter(help="high, default or low.")] = None
    reason: Annotated[str | None, Parameter(help="tries, permanent, deadline, crash, unstartable or cancelled.")] = None
    error: Annotated[str | None, Parameter(help="Type of the error, as the list shows it.")] = None
    text: Annotated[str | None, Parameter(help="Part of the message.")] = None
    since: Annotated[str | None, Parameter(help="Failed since: 30m, 2h or 1d (ago), or a time.")] = None

    def filter(self, status: str) -> Filter:
        """As the ledger asks; `all` is any status."""
        from redrive.deployments.dead_letters.ledger import Filter

        if status not in STATUSES:
            raise ParameterError(unknown("status", status, STATUSES))
        if self.queue and self.queue not in queues():
            raise ParameterError(unknown("queue", self.queue, queues()))
        conditions = asdict(self)
        error, since = conditions.pop("error"), moment(conditions.pop("since"), datetime.now(UTC))
        return Filter(**conditions, error_type=error, since=since, status=None if status == "all" else status)

    def check(self, ledger: Ledger) -> None:
        """Refuse a reason or job type that there is not, with the nearest."""
        if not self.reason and not self.job:
            return
        totals = ledger.totals()
        reasons = sorted({*REASONS, *(total.reason for total in totals)})
        if self.reason and self.reason not in reasons:
            raise ParameterError(unknown("reason", self.reason, reasons))
        if self.job and all(total.job != self.job for total in totals):
            _check_job_type(self.job, {total.job for total in totals})


@contextmanager
def open_ledger(which: Which | None = None) -> Iterator[Ledger]:
    """The ledger, once it is known that what `which` names is there."""
    from redrive.deployments.dead_letters.ledger import Ledger

    with Ledger(settings().ledger_url()) as ledger:
        ledger.migrate()
        if which is not None:
            which.check(ledger)
        yield ledger


def at_least_one(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise ParameterError(f"--limit {limit} is nothing; give 1 or more")


def _check_job_type(name: str, dead: set[str]) -> None:
    """Whether a job type that has no dead letters is known at all; where Prefect cannot be asked, the benefit of the doubt."""
    from redrive.blocks.prefect.client import reachable
    from redrive.deployments.jobs.search import known_job_types

    try:
        with reachable():
            known = {*known_job_types(), *dead}
    except ApiUnavailable:
        return
    if name not in known:
        raise ParameterError(unknown("job type", name, sorted(known)))
