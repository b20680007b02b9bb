"""The keeper is away for longer than its widest overlap while jobs die in every way: each gets one row, and none from the audit.

Twelve minutes, nearly all of them waiting: `make soak`.
"""

from __future__ import annotations

import psutil
import pytest

from redrive.blocks.core.settings import settings
from redrive.blocks.prefect.runs import by_id
from redrive.deployments.dead_letters.ledger import Filter, Ledger
from redrive.deployments.enqueue import enqueue, wait_for
from redrive.infra.keeper.collecting import WIDE_OVERLAP
from tests.chaos.fault_stack import PATIENCE, FaultStack, pass_by
from tests.chaos.journal import read_journal
from tests.support.waiting import wait_until

OUTAGE = WIDE_OVERLAP.total_seconds() + 60

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.soak, pytest.mark.timeout(OUTAGE + 600)]


def test_jobs_that_die_in_an_outage_longer_than_every_overlap_have_one_row_each(stack: FaultStack) -> None:
    folder = stack.folder("long-outage")
    with Ledger(settings().ledger_url()) as ledger:
        found_before = ledger.audit().found

    with stack.frozen(psutil.Process(stack.pid("keeper"))):
        hopeless = enqueue("fault-hopeless", {"folder": str(folder)})
        wait_for(hopeless.id, timeout=PATIENCE)
        # Its crash is what ends it; the rescue, and with it the dead letter, comes after the outage.
        poison = enqueue("fault-poison", {"folder": str(folder)})
        wait_until(lambda: by_id([poison.id])[poison.id].state_type == "CRASHED", PATIENCE, "the poison pill to crash")
        held = enqueue("fault-held", {"folder": str(folder)})
        wait_until(lambda: any(one.run_id == held.id for one in read_journal(folder)), PATIENCE, "the job to run")
        stack.kill_worker(with_children=True)
        pass_by(OUTAGE)
        # Collected first, these take the cursor past those that died eleven minutes ago.
        late = [enqueue("fault-hopeless", {"folder": str(folder)}) for _ in range(5)]
        for one in late:
            wait_for(one.id, timeout=PATIENCE)

    for one in (hopeless, *late):
        assert stack.dead_letter(one.id, timeout=PATIENCE).reason == "tries"
    assert stack.dead_letter(poison.id, timeout=PATIENCE).reason == "crash"
    (folder / "go").touch()
    assert wait_for(held.id, timeout=2 * PATIENCE).state_type == "COMPLETED"
    with Ledger(settings().ledger_url()) as ledger:
        rows = ledger.find(Filter(), limit=100).rows
        assert ledger.audit().found == found_before
    mine = [row.run_id for row in rows if row.run_id in {hopeless.id, poison.id, held.id, *(one.id for one in late)}]
    assert sorted(mine) == sorted({hopeless.id, poison.id, *(one.id for one in late)})
