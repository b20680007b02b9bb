"""Many dead letters of a few causes: they are grouped by cause, and one cause is redriven at a pace while the others stay."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from redrive.deployments.dead_letters.ledger import DeadLetter, Filter
from redrive.deployments.enqueue import enqueue_many
from redrive.deployments.queues import pause_queue
from tests.support.job_stack import JobStack
from tests.support.waiting import wait_until

JOB = "test-causes"
RATE = 20
#: Even Prefect's stock worker does some 0.4 jobs a second here.
SECONDS_PER_JOB = 15

CAUSES = (
    "order {id} was refused by the bank after {number} attempts",
    "file /data/{path}/{number}.csv is empty",
    "customer {number} has no address, seen at {time} ({id})",
)


def messages(count: int) -> list[str]:
    """Three causes in turn, each message with ids, numbers, paths and times of its own."""
    draw = random.Random(4)
    return [
        CAUSES[one % len(CAUSES)].format(
            id=UUID(int=draw.getrandbits(128), version=4),
            number=draw.randrange(1, 10**9),
            path="/".join(f"{draw.getrandbits(40):010x}" for _ in range(draw.randrange(1, 5))),
            time=(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=draw.randrange(10**7))).isoformat(),
        )
        for one in range(count)
    ]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("size", [30, pytest.param(200, marks=pytest.mark.soak)])
def test_three_causes_are_three_groups_and_one_is_redriven_at_a_pace(job_stack: JobStack, size: int) -> None:
    folder = job_stack.folder("many")
    patience = size * SECONDS_PER_JOB
    enqueue_many(JOB, [{"folder": str(folder), "message": message} for message in messages(size)])
    with job_stack.ledger() as ledger:
        wait_until(lambda: ledger.count(Filter(status="open", job=JOB)) == size, patience, "all jobs to be dead")
    before = by_cause(job_stack)
    assert Counter(group["count"] for group in before.values()) == Counter(len(range(n, size, 3)) for n in range(3))
    chosen, *others = before
    (folder / "mended").touch()

    # Jobs that start at once would take the server's time, and the pace would never be reached.
    pause_queue("default", paused=True)
    try:
        done = job_stack.command(
            "dead", "redrive", "--fingerprint", chosen, "--rate", f"{RATE}/s", "--why", "mended", "--json"
        )
    finally:
        pause_queue("default", paused=False)

    told = json.loads(done.stdout)
    count = before[chosen]["count"]
    assert (told["redriven"], told["failed"], told["stopped"]) == (count, [], False)
    with job_stack.ledger() as ledger:
        fits = Filter(job=JOB, fingerprint=chosen)
        wait_until(lambda: ledger.count(fits.model_copy(update={"status": "resolved"})) == count, patience, "its jobs")
        rows = ledger.find(fits, limit=size).rows
        batch = ledger.batches(limit=1)[0]
    assert (str(batch.batch_id), batch.count, batch.why) == (told["id"], count, "mended")
    assert {row.batch_id for row in rows} == {batch.batch_id}
    # Who is late may catch up by one interval, never by a burst.
    seconds = span(rows)
    assert seconds >= (count - 2) / RATE
    after = by_cause(job_stack)
    assert {one: after[one] for one in others} == {one: before[one] for one in others}
    assert chosen not in after
    print(f"{count} of {size} redriven in {seconds:.2f} s, {(count - 1) / seconds:.1f} a second")


def by_cause(stack: JobStack) -> dict[str, dict[str, Any]]:
    """What `redrive dead groups` says."""
    told: list[dict[str, Any]] = json.loads(stack.command("dead", "groups", "--job", JOB, "--json").stdout)
    return {group["fingerprint"]: group for group in told}


def span(rows: tuple[DeadLetter, ...]) -> float:
    """Seconds between the first and the last redrive."""
    times = [row.redriven_at for row in rows if row.redriven_at]
    return (max(times) - min(times)).total_seconds()
