"""How the keeper is, from when its duties last succeeded: for `redrive check` and `redrive top`.

It is asked of the ledger, not of the keeper: one that is frozen says nothing, and one that hangs says that it lives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from redrive.blocks.core.durations import span
from redrive.deployments.dead_letters.ledger import DutyState

#: Duties named in a sentence; the rest is counted.
NAMED = 3
#: Duties whose name says little to who operates: how people read them. The name itself stands in the ledger and in metrics.
TITLES = {"unstrand": "release stuck retries"}


@dataclass(frozen=True, kw_only=True)
class LateDuty:
    """A duty that no keeper has done within its limit; `age` in seconds, `since` None if it was never done."""

    duty: str
    age: float
    since: datetime | None
    error: str | None

    @property
    def title(self) -> str:
        """As people read it."""
        return TITLES.get(self.duty, self.duty)


@dataclass(frozen=True, kw_only=True)
class KeeperHealth:
    """Whether every duty is done in time, a summary in one sentence, and each duty that is late, the most frequent first."""

    healthy: bool
    summary: str
    late: tuple[LateDuty, ...] = ()


def keeper_health(duties: Sequence[DutyState]) -> KeeperHealth:
    """How the keeper is by what the ledger knows of its duties."""
    if not duties:
        return KeeperHealth(
            healthy=False,
            summary="no keeper has ever worked with this ledger, so jobs of dead workers stay where they are: `redrive up` starts one",
        )
    # What is to be done most often is what is missed first: rescue and collect before the housekeeping.
    late = sorted((duty for duty in duties if duty.is_late), key=lambda duty: (duty.every, -duty.age))
    if not late:
        return KeeperHealth(healthy=True, summary=f"all {len(duties)} duties are done in time")
    return KeeperHealth(
        healthy=False,
        summary=f"{_late(late, of=len(duties))}; {_advice(late)}",
        late=tuple(
            LateDuty(duty=duty.duty, age=duty.age, since=duty.last_success, error=duty.error or None) for duty in late
        ),
    )


def _late(late: Sequence[DutyState], *, of: int) -> str:
    if len(late) == of:
        names = f"none of its {of} duties was done" if of > 1 else f"{_title(late[0])} was not done"
    else:
        more = f" and {len(late) - NAMED} more" if len(late) > NAMED else ""
        names = f"{', '.join(map(_title, late[:NAMED]))}{more} {'was' if len(late) == 1 else 'were'} not done"
    # The latest success tells since when nothing happens; the oldest would be that of the slowest duty.
    newest = min(late, key=lambda duty: duty.age)
    if newest.last_success is None:
        return f"{names} since it began {span(newest.age)} ago"
    return f"{names} for {span(newest.age)}, since {newest.last_success:%Y-%m-%d %H:%M:%SZ}"


def _advice(late: Sequence[DutyState]) -> str:
    failing = next((duty for duty in late if duty.error), None)
    if failing is not None:
        return f"{_title(failing)} fails with: {' '.join((failing.error or '').split())}"
    return (
        f"`redrive status` shows its process (last heard of: {late[0].keeper}); end one that hangs with `kill -9 PID` and it "
        "is started again, or start one with `redrive up`"
    )


def _title(duty: DutyState) -> str:
    return TITLES.get(duty.duty, duty.duty)
