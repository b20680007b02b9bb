"""`make bench`: runs every benchmark, prints its table, keeps the figures as JSON under .redrive/bench/.

`python -m tests.benchmarks enqueue idle` runs only those named.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import (
    answers,
    capacity,
    console,
    edits,
    enqueue,
    exporter,
    families,
    full,
    idle,
    keeper,
    ledger,
    promptness,
    tracing,
    worker,
)

FOLDER = Path(__file__).resolve().parents[2] / ".redrive" / "bench"

BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "answers": answers.measure,
    "capacity": capacity.measure,
    "console": console.measure,
    "edits": edits.measure,
    "enqueue": enqueue.measure,
    "exporter": exporter.measure,
    "families": families.measure,
    "full": full.measure,
    "idle": idle.measure,
    "keeper": keeper.measure,
    "ledger": ledger.measure,
    "promptness": promptness.measure,
    "tracing": tracing.measure,
    "worker": worker.measure,
}


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in BENCHMARKS]:
        print(f"no benchmark is named {unknown[0]!r}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or BENCHMARKS:
        print(f"== {name}", flush=True)
        figures = BENCHMARKS[name]()
        kept = FOLDER / f"{name}.json"
        kept.write_text(json.dumps({"at": datetime.now(UTC).isoformat(), **figures}, indent=1, default=str))
        print(f"   kept in {kept.relative_to(FOLDER.parents[1])}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
