"""What the ledger costs with 1,000 and with 100,000 rows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from redrive.deployments.dead_letters.ledger import Filter, Ledger
from tests.support.deaths import START, a_death
from tests.support.full_ledger import fill
from tests.support.postgres import running_server

SIZES = (1_000, 100_000)
ROUNDS = 41

#: The time both sizes have rows in: the newest hour of the small one is the oldest of the large one.
HOUR = Filter(since=START, until=START + timedelta(seconds=600))


def asked(ledger: Ledger) -> dict[str, Callable[[], Any]]:
    cause = ledger.groups()[2].fingerprint
    row = ledger.find(limit=1).rows[0]
    page = ledger.find(limit=50).next
    return {
        "list the newest 50": lambda: ledger.find(limit=50),
        "list the next 50": lambda: ledger.find(limit=50, cursor=page),
        "list open": lambda: ledger.find(Filter(status="open"), limit=50),
        "list open of a job": lambda: ledger.find(Filter(status="open", job="job-a"), limit=50),
        "list open of a queue": lambda: ledger.find(Filter(status="open", queue="low"), limit=50),
        # No more than the small ledger has of one cause, so that both give the same number of rows.
        "list 5 of a cause": lambda: ledger.find(Filter(fingerprint=cause[:8], status="open"), limit=5),
        "list an error type": lambda: ledger.find(Filter(error_type="lib.ErrorB"), limit=50),
        "list by time": lambda: ledger.find(HOUR, limit=50),
        "list by text, common": lambda: ledger.find(Filter(text="refused"), limit=50),
        "list by text, none": lambda: ledger.find(Filter(text="no such words"), limit=50),
        "group all": ledger.groups,
        "group open": lambda: ledger.groups(Filter(status="open")),
        "group a job": lambda: ledger.groups(Filter(status="open", job="job-a")),
        "group by time": lambda: ledger.groups(HOUR),
        "group by text, common": lambda: ledger.groups(Filter(text="refused")),
        "count open of a job": lambda: ledger.count(Filter(status="open", job="job-a")),
        "totals": ledger.totals,
        "oldest open": ledger.oldest_open,
        "redriven": ledger.redriven,
        "get by prefix": lambda: ledger.get(str(row.run_id)[:8]),
        "known 200": lambda: ledger.known([row.dead_state_id] * 200),
        "record one": lambda: ledger.record(a_death(after=-1)),
    }


def medians(ledgers: list[Ledger]) -> dict[str, list[float]]:
    """Milliseconds per question, one for each ledger; they take turns, so that a busy moment of the machine hits them all."""
    found: dict[str, list[float]] = {}
    asks = [asked(ledger) for ledger in ledgers]
    for name in asks[0]:
        times: list[list[float]] = [[] for _ in ledgers]
        for ask in asks:
            ask[name]()
        for _ in range(ROUNDS):
            for ask, taken in zip(asks, times, strict=True):
                began = time.perf_counter()
                ask[name]()
                taken.append(time.perf_counter() - began)
        found[name] = [statistics.median(taken) * 1000 for taken in times]
    return found


@contextmanager
def filled(sizes: tuple[int, ...]) -> Iterator[list[Ledger]]:
    with running_server() as server:
        ledgers = [Ledger(server.database()) for _ in sizes]
        for ledger, rows in zip(ledgers, sizes, strict=True):
            fill(ledger, rows=rows)
        yield ledgers
        for ledger in ledgers:
            ledger.close()


def measure() -> dict[str, Any]:
    """Medians in milliseconds per question and size, and the ratio of the large to the small; prints them."""
    with filled(SIZES) as ledgers:
        found = medians(ledgers)
    print(f"   {'':26}{SIZES[0]:>12,}{SIZES[1]:>12,}   ratio")
    for name, (small, large) in found.items():
        print(f"   {name:26}{small:>9.2f} ms{large:>9.2f} ms{large / small:>8.2f}")
    return {
        "benchmark": "ledger",
        "unit": "ms, median",
        "rows": list(SIZES),
        "results": {
            name: {"small": small, "large": large, "ratio": large / small} for name, (small, large) in found.items()
        },
    }
