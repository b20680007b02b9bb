"""How many failures fit a filter: told with the page where the sums know it, and counted afterwards where only the rows do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from redrive.dashboards.console.cause import GROUPS, Cause
from redrive.dashboards.console.pages.failures import fitting_of
from redrive.deployments.dead_letters.ledger import Filter, Group, Ledger
from tests.support.deaths import varied

TEXT, KIND = Filter(status="open", text="refused"), Filter(status="open", job="job-a")


def cause(*, open_rows: int = 3, **more: Any) -> Cause:
    now = datetime.now(UTC)
    group = Group(
        fingerprint=uuid4().hex[:12],
        error_type="lib.Error",
        message="refused",
        sample_id=uuid4(),
        count=open_rows,
        by_status={"open": open_rows},
        jobs=(),
        queues=(),
        first_seen=now,
        last_seen=now,
        **more,
    )
    return Cause(group=group, trend=[], came_back=None, note=None)


def test_causes_of_one_page_add_up(tmp_path: Path):
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        assert fitting_of(ledger, TEXT, [cause(open_rows=3), cause(open_rows=4)]) == 7


def test_more_causes_than_a_page_are_told_by_the_sums(tmp_path: Path):
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        ledger.migrate()
        ledger.record_all(varied(80))
        shown = [cause()] * GROUPS

        assert fitting_of(ledger, KIND, shown) == ledger.count(KIND)


def test_rows_with_a_text_are_counted_among_the_newest(tmp_path: Path):
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        ledger.migrate()
        ledger.record_all(varied(40))

        asked = Filter(text="the refused")
        every = ledger.count(asked)

        assert 0 < every < 40
        assert ledger.count_newest(asked, among=100) == (every, True)
        assert ledger.count_newest(asked, among=10) == (
            sum("the refused" in row.message for row in ledger.find(limit=10).rows),
            False,
        )


def test_text_that_more_rows_have_than_were_looked_at_is_counted_afterwards(tmp_path: Path):
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        assert fitting_of(ledger, TEXT, [cause(partial=True)]) is None
        assert fitting_of(ledger, TEXT, [cause()] * GROUPS) is None
