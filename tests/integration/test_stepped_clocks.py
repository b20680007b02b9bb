"""Clocks of two hosts are never compared, and a time that lies in the future holds nothing up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from redrive.infra.keeper.collecting import Collector
from redrive.infra.keeper.resolving import CUT_OFF, Resolver
from tests.support.keeperless import Keeperless


@pytest.mark.parametrize("hours", [0, 1, -1])
def test_redrive_that_was_cut_off_is_given_back_by_the_keepers_own_time(keeperless: Keeperless, hours: int) -> None:
    run = keeperless.run(keeperless.deployment("jobs"))
    keeperless.set(run, "FAILED", message="it broke")
    Collector(keeperless.ledger).sweep()
    row = keeperless.ledger.get(run)
    # Whoever claims it has a clock of its own, and is cut off right after.
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
        keeperless.ledger.claim_for_redrive(row.id, who="ada", why="")
    now = 0.0
    keeper = Resolver(keeperless.ledger, clock=lambda: now)

    keeper.sweep()
    now = CUT_OFF - 1
    keeper.sweep()
    before = keeperless.ledger.get(run).status
    now = CUT_OFF + 1
    keeper.sweep()

    assert (before, keeperless.ledger.get(run).status) == ("redriven", "open")


def test_row_that_is_claimed_anew_has_its_time_anew(keeperless: Keeperless) -> None:
    run = keeperless.run(keeperless.deployment("jobs"))
    keeperless.set(run, "FAILED", message="it broke")
    Collector(keeperless.ledger).sweep()
    row = keeperless.ledger.get(run)
    now = 0.0
    keeper = Resolver(keeperless.ledger, clock=lambda: now)
    keeperless.ledger.claim_for_redrive(row.id, who="ada", why="")
    keeper.sweep()
    keeperless.ledger.unclaim(row.id, who="ada", why="")
    keeperless.ledger.claim_for_redrive(row.id, who="bob", why="")

    now = CUT_OFF + 1
    keeper.sweep()

    assert keeperless.ledger.get(run).status == "redriven"
