"""How fast sync is beside plain COPY and upsert, with the memory it takes: a million rows of CSV and SQLite, and nothing new.

Each figure is taken in a process of its own, which first loads what a worker has loaded anyway. The plain side is what somebody who knows
the table writes by hand: its types are given, nothing is checked.
"""

from __future__ import annotations

import csv
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from tests.benchmarks.peak_memory import peak_megabytes
from tests.support.postgres import running_server

ROWS = 1_000_000
#: What the issue asks for.
TIMES, MEGABYTES, SHARE = 1.5, 150, 0.1
TYPES = {
    "id": "bigint",
    "code": "text",
    "name": "text",
    "status": "text",
    "price": "numeric",
    "quantity": "bigint",
    "paid": "boolean",
    "day": "date",
    "changed_at": "timestamp",
    "note": "text",
}


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    """A table as shops have it; the same rows every time."""
    draw = random.Random(1)
    begin = datetime(2020, 1, 1)  # noqa: DTZ001  (a table without zones)
    for i in range(count):
        at = begin + timedelta(seconds=i * 30)
        yield (
            i + 1,
            f"{i * 7919 % 100000:05d}",
            f"Customer {i % 5000}",
            draw.choice(["open", "paid", "sent"]),
            f"{draw.randrange(1, 1000000) / 100:.2f}",
            draw.randrange(1, 100),
            "true" if i % 3 else "false",
            at.strftime("%Y-%m-%d"),
            at.strftime("%Y-%m-%d %H:%M:%S"),
            None if i % 4 else f"note, {i}",
        )


def make_sources(folder: Path, count: int) -> None:
    """`data.csv` and table `data` of `data.db`."""
    with (folder / "data.csv").open("w", newline="") as file:
        write = csv.writer(file, lineterminator="\n")
        write.writerow(TYPES)
        write.writerows(rows(count))
    with closing(sqlite3.connect(folder / "data.db")) as database:
        database.execute(f"create table data ({', '.join(TYPES)})")
        database.executemany(f"insert into data values ({', '.join('?' * len(TYPES))})", rows(count))  # noqa: S608
        database.commit()


def plain_copy(folder: Path, url: str, source: str) -> int:
    """COPY into a temporary table, then an upsert, both written by hand."""
    columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    changes = ", ".join(f"{name} = excluded.{name}" for name in TYPES if name != "id")
    with psycopg.connect(url) as connection:
        connection.execute(f"create table if not exists plain ({columns}, primary key (id))")  # type: ignore[arg-type]
        connection.execute(f"create temporary table incoming ({columns}) on commit drop")  # type: ignore[arg-type]
        if source == "csv":
            with (
                (folder / "data.csv").open("rb") as file,
                connection.cursor().copy("copy incoming from stdin with (format csv, header)") as copy,
            ):
                while block := file.read(1 << 20):
                    copy.write(block)
        else:
            with (
                closing(sqlite3.connect(folder / "data.db")) as database,
                connection.cursor().copy("copy incoming from stdin") as copy,
            ):
                for row in database.execute("select * from data"):
                    copy.write_row(row)
        return connection.execute(
            f"insert into plain select * from incoming on conflict (id) do update set {changes}"  # type: ignore[arg-type]  # noqa: S608
        ).rowcount


def synced(folder: Path, url: str, source: str, cursor: str | None = None) -> int:
    """The step of the job, called as a function."""
    from redrive.flows.sync import flow as sync

    sync.saved = lambda *_: sync.Warehouse(url=SecretStr(url))  # type: ignore[assignment,attr-defined]  # there is no Prefect here
    result = sync.transfer.fn(
        str(folder / ("data.csv" if source == "csv" else "data.db")),
        table="synced",
        key=["id"],
        cursor=cursor,
        source_table=None if source == "csv" else "data",
    )
    return int(result.inserted)


def measured(work: Callable[[], int], before: float) -> dict[str, float]:
    """Seconds, rows, and the megabytes at the worst moment: in all, and beyond what was loaded before."""
    began = time.perf_counter()
    count = work()
    seconds = time.perf_counter() - began
    peak = peak_megabytes()
    return {"seconds": seconds, "rows": count, "peak_mb": peak, "own_mb": peak - before}


def run(count: int = ROWS) -> list[dict[str, Any]]:
    """All figures, a line each."""
    found = []
    with tempfile.TemporaryDirectory(prefix="redrive-bench-sync-") as name, running_server() as server:
        make_sources(Path(name), count)
        for source in ("csv", "sqlite"):
            for way, cursor in (
                ("plain", ""),
                ("sync", ""),
                ("first cursor", "changed_at"),
                ("unchanged", "changed_at"),
            ):
                if way in {"plain", "sync", "first cursor"}:
                    url = server.database().replace("postgresql+psycopg://", "postgresql://", 1)
                done = subprocess.run(
                    [sys.executable, "-m", "tests.benchmarks.sync_family", name, url, source, way, cursor],
                    check=True,
                    capture_output=True,
                    text=True,
                    env={**os.environ, "REDRIVE_FILE_ROOTS": tempfile.gettempdir()},
                )
                found.append({"source": source, "way": way, **json.loads(done.stdout)})
    return found


def report(found: list[dict[str, Any]]) -> str:
    """The table for people."""
    lines = ["source   way            seconds  × plain   peak MB   own MB"]
    for line in found:
        plain = next(one["seconds"] for one in found if (one["source"], one["way"]) == (line["source"], "plain"))
        lines.append(
            f"{line['source']:<8} {line['way']:<14} {line['seconds']:7.2f} {line['seconds'] / plain:8.2f} {line['peak_mb']:9.0f}"
            f" {line['own_mb']:8.0f}"
        )
    return "\n".join([*lines, *_goals(found)])


def _goals(found: list[dict[str, Any]]) -> Iterator[str]:
    """What the issue asks for, and whether it is so."""
    by_name = {(line["source"], line["way"]): line for line in found}
    for source in dict.fromkeys(source for source, _ in by_name):
        plain, sync, unchanged = (by_name[source, way] for way in ("plain", "sync", "unchanged"))
        for what, value, most in (
            ("times as long as COPY and upsert by hand", sync["seconds"] / plain["seconds"], TIMES),
            ("MB at the worst moment", sync["peak_mb"], MEGABYTES),
            (
                "of a load for an unchanged source",
                unchanged["seconds"] / by_name[source, "first cursor"]["seconds"],
                SHARE,
            ),
        ):
            yield f"{source:<8} {value:7.2f} {what}; goal {most:g}: {'reached' if value <= most else 'missed'}"


def measure() -> dict[str, Any]:
    """For `python -m tests.benchmarks families`."""
    found = run()
    print(report(found))
    return {f"{line['source']} {line['way']}": line for line in found}


def _one(folder: str, url: str, source: str, way: str, cursor: str) -> None:
    if way != "plain":
        from redrive.flows.sync import flow as sync  # noqa: F401  (a worker has loaded it before)
    before = peak_megabytes()
    work = (
        (lambda: plain_copy(Path(folder), url, source))
        if way == "plain"
        else (lambda: synced(Path(folder), url, source, cursor or None))
    )
    print(json.dumps(measured(work, before)))


if __name__ == "__main__":
    if len(sys.argv) > 3:
        _one(*sys.argv[1:])
    else:
        print(report(run(int(sys.argv[1]) if sys.argv[1:] else ROWS)))
