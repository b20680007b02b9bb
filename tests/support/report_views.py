"""Reports as tests define and look at them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from redrive.blocks.warehouse import Warehouse
from redrive.flows.reports.definition import ReportDefinition
from redrive.flows.reports.view import ReportView, collect
from tests.support.postgres import PostgresServer, postgres_server  # noqa: F401  (a fixture)

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def report(query: str, columns: list[dict[str, Any]], **more: Any) -> ReportDefinition:
    return ReportDefinition(name="test", title="Test", source="us", query=query, columns=columns, **more)  # type: ignore[arg-type]


def seen(warehouse: Warehouse, definition: ReportDefinition, **parameters: Any) -> ReportView:
    return collect(definition, warehouse, parameters, NOON)
