"""What the ledger costs with 1,000 and with 100,000 rows: `python tests/benchmarks/ledger.py [--json]`."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from redrive.deployments.ledger import Filter, Ledger
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
        "list a cause": lambda: ledger.find(Filter(fingerprint=cause[:8], status="open"), limit=50),
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
        "bury one": lambda: ledger.bury(a_death(after=-1)),
    }


def medians(ledger: Ledger) -> dict[str, float]:
    """Milliseconds."""
    found = {}
    for name, ask in asked(ledger).items():
        ask()
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            ask()
            times.append(time.perf_counter() - began)
        found[name] = statistics.median(times) * 1000
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
    """Medians in milliseconds per question and size, and the ratio of the large to the small."""
    with filled(SIZES) as ledgers:
        small, large = (medians(ledger) for ledger in ledgers)
    return {
        "benchmark": "ledger",
        "unit": "ms, median",
        "rows": list(SIZES),
        "results": {
            name: {"small": small[name], "large": large[name], "ratio": large[name] / small[name]} for name in small
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    wanted = parser.parse_args()
    found = measure()
    if wanted.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'':26}{SIZES[0]:>12,}{SIZES[1]:>12,}   ratio")
    for name, row in found["results"].items():
        print(f"{name:26}{row['small']:>9.2f} ms{row['large']:>9.2f} ms{row['ratio']:>8.2f}")


if __name__ == "__main__":
    main()
