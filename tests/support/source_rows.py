"""The rows of a source."""

from __future__ import annotations

import csv
import io

from redrive.flows.sync.source.opened import opened
from redrive.flows.sync.table.column_types import Column
from redrive.flows.sync.table.record_scan import RecordScan


def rows(source: str, **options: str) -> list[dict[str, str | None]]:
    with opened(source, **options) as found:  # type: ignore[arg-type]
        columns = [Column(name) for name in found.columns]
        scan = RecordScan(
            columns,
            label=found.label,
            delimiter=found.delimiter,
            end=found.end,
            empty_is_missing=found.empty_is_missing,
        )
        text = b"".join(scan.scanned(found.blocks())).decode()
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=found.delimiter)
        return [dict(zip(found.columns, (value or None for value in line), strict=True)) for line in lines]
