"""The job families beside the plain library that each is built on, in the same run: one module per family.

`python -m tests.benchmarks families`; each family's figures stand under its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.benchmarks import documents_family, reports_family, sync_family

FAMILIES: dict[str, Callable[[], dict[str, Any]]] = {
    "documents": documents_family.measure,
    "reports": reports_family.measure,
    "sync": sync_family.measure,
}


def measure() -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, family in FAMILIES.items():
        print(f"-- {name}", flush=True)
        figures[name] = family()
    return figures
