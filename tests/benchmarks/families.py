"""The job families beside the plain library that each is built on, in the same run: one module per family.

`python -m tests.benchmarks families`; each family's figures stand under its name. All of it takes some nine minutes; parts are named in
BENCH_ONLY, with commas: `BENCH_ONLY=reports,sync`, and sets of documents: `BENCH_ONLY=mails,small texts`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tests.benchmarks import documents_family, reports_family, sync_family
from tests.support.many_documents import SETS

#: Families and sets of documents, with commas; all if not given.
ONLY = [name.strip() for name in os.environ.get("BENCH_ONLY", "").split(",") if name.strip()]
FAMILIES: dict[str, Callable[[], dict[str, Any]]] = {
    "documents": lambda: documents_family.measure([name for name in SETS if name in ONLY] or list(SETS)),
    "reports": reports_family.measure,
    "sync": sync_family.measure,
}


def measure() -> dict[str, Any]:
    known = [*FAMILIES, *SETS]
    if unknown := [name for name in ONLY if name not in known]:
        raise SystemExit(f"no part of this benchmark is named {unknown[0]!r}; there are {', '.join(known)}")
    figures: dict[str, Any] = {}
    for name, family in FAMILIES.items():
        if not ONLY or name in ONLY or (name == "documents" and set(ONLY) & set(SETS)):
            print(f"-- {name}", flush=True)
            figures[name] = family()
    return figures
