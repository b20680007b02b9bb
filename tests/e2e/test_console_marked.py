"""Some of many: somebody marks rows, and what they press then is done to those alone."""

from __future__ import annotations

from uuid import uuid4

import pytest

from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue_many
from tests.support.console import PATIENCE, Consoles, in_browser
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, in_browser]


def test_marked_failures_of_a_cause_are_discarded_and_the_others_stay(consoles: Consoles) -> None:
    message, folder = f"marked {uuid4().hex[:8]}", str(consoles.stack.folder("marked"))
    jobs = [one.id for one in enqueue_many("test-many", [{"folder": folder, "message": message}] * 3)]
    rows = [consoles.stack.dead_letter(job) for job in jobs]
    console = consoles.sign_in("bob", "operator")
    console.open(f"/failures/{rows[0].fingerprint}")
    discard = console.page.get_by_role("button", name="Discard marked")
    assert not discard.is_visible()

    console.row(str(jobs[0])[:8]).get_by_role("checkbox").check()
    discard.click()
    dialog = console.page.locator("dialog[open]")
    dialog.get_by_label("Reason").fill("a test of the sender")
    dialog.get_by_role("button", name="Discard").click()

    def with_status(status: str) -> set[object]:
        with consoles.stack.ledger() as ledger:
            return {row.run_id for row in ledger.find(Filter(status=status, text=message)).rows}

    wait_until(lambda: with_status("discarded") == {jobs[0]}, PATIENCE, "the marked one to be discarded")
    assert with_status("open") == set(jobs[1:])
