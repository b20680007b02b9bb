"""Random acts on a ledger, and the check that its sums equal its rows."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from redrive.blocks.core.errors import Conflict, NotFound
from redrive.deployments.dead_letters.ledger import DeadLetter, Filter, Ledger
from tests.support.deaths import a_death, an_id

NOW = datetime.now(UTC)


def act_at_random(ledger: Ledger, draw: random.Random) -> None:
    """One act on a random row; refusals are part of the game."""
    rows = ledger.find(limit=1000).rows
    row = draw.choice(rows) if rows else None
    message = f"cause {draw.choice('abcd')}"
    facts = {
        "last_failure": NOW - timedelta(seconds=draw.random() * 1000),
        "message": message,
        "queue": draw.choice(["high", "low"]),
        "dead_state_id": an_id(draw),
    }
    roll = draw.random()
    if row is None or roll < 0.35:
        ledger.record_all(
            [
                a_death(run_id=an_id(draw), **{**facts, "dead_state_id": an_id(draw)})
                for _ in range(draw.randrange(1, 4))
            ]
        )
        return
    with suppress(Conflict, NotFound):
        _act(ledger, draw, row, roll, facts)


def _act(ledger: Ledger, draw: random.Random, row: DeadLetter, roll: float, facts: dict[str, object]) -> None:
    if roll < 0.5:
        ledger.record(a_death(run_id=row.run_id, **facts))
    elif roll < 0.65:
        ledger.claim_for_redrive(row.id, who="ann")
    elif roll < 0.7:
        ledger.unclaim(row.id, who="ann", why="")
    elif roll < 0.75:
        ledger.link_replacement(row.run_id, an_id(draw))
    elif roll < 0.85:
        ledger.resolve(row.outcome_run_id)
    elif roll < 0.9:
        ledger.discard(row.id, who="ann", also_redriven=True)
    elif roll < 0.93:
        ledger.reopen(row.id, who="ann")
    elif roll < 0.97:
        ledger.discard_all(Filter(queue="low"), who="ann", at_most=3)
    else:
        ledger.prune(datetime.now(UTC) + timedelta(days=1))


def assert_sums_are_right(ledger: Ledger) -> None:
    def sums() -> tuple[object, ...]:
        groups = {
            (group.fingerprint, group.count, tuple(group.by_status.items()), group.jobs, group.queues)
            for group in ledger.groups()
        }
        known = sorted(group.fingerprint for group in ledger.groups())
        trends = ledger.causes.trends(known, now=NOW, length=timedelta(hours=24), points=24)
        return ledger.totals(), groups, ledger.count(), ledger.causes.matrix(since=[NOW - timedelta(days=1)]), trends

    kept = sums()
    samples = {group.fingerprint: group.sample_id for group in ledger.groups()}
    by_id = {row.id: row for row in ledger.find(limit=1000).rows}
    if ledger.count() <= 1000:
        assert all(by_id[sample].fingerprint == fingerprint for fingerprint, sample in samples.items())
    ledger.recount()
    assert sums() == kept
