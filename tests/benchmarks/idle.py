"""What the idle stack costs: CPU seconds over five minutes, and memory as PSS, from /proc."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from redrive.infra.local.cost import cost
from tests.support.stack import LocalStack

SECONDS = float(os.environ.get("BENCH_IDLE_SECONDS", "300"))
#: A server that has just started still has work of its own to finish.
SETTLE = 30
MEGABYTE = 1024 * 1024


def measure() -> dict[str, Any]:
    """CPU seconds and memory by component; prints them with their share of one core."""
    folder = Path(tempfile.mkdtemp(prefix="redrive-bench-"))
    stack = LocalStack(folder / ".redrive")
    try:
        stack.start()
        time.sleep(SETTLE)
        before = cost(stack.settings)
        began = time.monotonic()
        time.sleep(SECONDS)
        seconds = time.monotonic() - began
        after = cost(stack.settings)
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)
    rows = {name: (after[name].cpu - before[name].cpu, after[name].memory) for name in after if name in before}
    for name, (cpu, memory) in sorted(rows.items(), key=lambda row: -row[1][0]):
        print(f"   {name:<12} {cpu:7.2f} CPU s  {100 * cpu / seconds:5.1f} % of a core  {memory / MEGABYTE:6.0f} MB")
    cpu, memory = sum(row[0] for row in rows.values()), sum(row[1] for row in rows.values())
    print(
        f"   {'all':<12} {cpu:7.2f} CPU s  {100 * cpu / seconds:5.1f} % of a core  {memory / MEGABYTE:6.0f} MB  in {seconds:.0f} s"
    )
    return {
        "seconds": seconds,
        "cpu_seconds": {n: r[0] for n, r in rows.items()},
        "pss_bytes": {n: r[1] for n, r in rows.items()},
    }
