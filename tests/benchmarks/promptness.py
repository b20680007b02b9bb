"""How soon a dead letter is listed: from the job's last failure, as its state says, to its row in the ledger."""

from __future__ import annotations

import statistics
from typing import Any
from uuid import uuid4

from redrive.deployments.dead_letters.ledger import Filter
from redrive.deployments.enqueue import enqueue
from tests.benchmarks.stack import benchmarked
from tests.support.waiting import wait_until

JOB = "test-many"
JOBS = 80
#: Seconds between two jobs that become due: more than the stock worker needs for one, so that no queue builds up.
APART = 3.0
PATIENCE = 900
#: The first ones share the machine with a stack that has just started.
WARM_UP = 10


def measure() -> dict[str, Any]:
    """Seconds from last failure to row, p50 and p99, of jobs that fail spread over minutes; prints them."""
    with benchmarked() as stack:
        for number in range(WARM_UP + JOBS):
            parameters = {"folder": str(stack.home.parent), "message": f"order {uuid4()} was refused"}
            enqueue(JOB, parameters, delay=APART * number)
        with stack.ledger() as ledger:
            wait_until(lambda: ledger.count(Filter(job=JOB)) == WARM_UP + JOBS, PATIENCE, "every job to be listed")
            rows = ledger.find(Filter(job=JOB), limit=JOBS).rows
    waits = sorted((row.buried_at - row.last_failure).total_seconds() for row in rows)
    p50, p99 = statistics.median(waits), statistics.quantiles(waits, n=100)[98]
    print(f"   {len(waits)} dead letters: p50 {p50:.2f} s, p99 {p99:.2f} s, most {waits[-1]:.2f} s")
    return {"seconds": waits, "p50": p50, "p99": p99}
