"""Sync: a CSV, JSON, SQLite or HTTP source is brought into a table of the warehouse, row by row of its key.

Danger: a sync adds and changes rows and never deletes any; what vanished from the source stays in the table.
"""

from prefect.context import TaskRunContext
from prefect.logging import get_run_logger

from redrive.blocks.access.http_sources import without_secrets
from redrive.blocks.core.payloads import SyncResult
from redrive.blocks.saved import saved
from redrive.blocks.warehouse import Warehouse
from redrive.deployments.catalog import job_type
from redrive.flows.engine.job import job, step
from redrive.flows.sync.source.limits import Limits
from redrive.flows.sync.source.opened import Unchanged, opened
from redrive.flows.sync.source.source import Kind
from redrive.flows.sync.table.column_format import ColumnFormat
from redrive.flows.sync.table.known_source import KnownSource
from redrive.flows.sync.table.merge import Merged, merge
from redrive.flows.sync.table.target import Target

SYNC = job_type("sync")

SAMPLE = "samples/data/seattle-weather.csv"


@job(SYNC)
def sync(
    source: str = SAMPLE,
    table: str = "seattle_weather",
    key: list[str] = ["date"],  # noqa: B006  (Prefect shows it in the form, and nothing here changes it)
    cursor: str | None = None,
    kind: Kind = "auto",
    source_table: str | None = None,
    warehouse: str = "default",
    columns: dict[str, ColumnFormat] | None = None,
    encoding: str | None = None,
    limits: Limits | None = None,
) -> SyncResult:
    """Bring the rows of a source into a table: new ones are inserted, changed ones updated, equal ones left alone.

    The table is made at the first run and grows with the source's columns. Everything happens in one transaction.

    Args:
        source: CSV, JSON, NDJSON or SQLite file (a relative path counts from REDRIVE_HOME), or an http(s) address of CSV or JSON,
            whose further pages are followed.
        table: Table to write to, `name` or `schema.name`.
        key: Columns that identify a row.
        cursor: Column that only grows, like a time of change; rows below the table's highest value are left out. None
            compares every row, which also finds corrections of old ones.
        kind: What the source is; auto looks at its content.
        source_table: Table to read, if the source is an SQLite file.
        warehouse: Name of the Warehouse block.
        columns: Format of columns that are not written as ISO and English programs write: decimal comma, day-first dates, yes and no;
            also the type of a column that should not be told from its values.
        encoding: Encoding of a CSV source; None takes what the server names, else UTF-8.
        limits: Size, time and pages of an HTTP source.
    """
    result: SyncResult = transfer(source, table, key, cursor, kind, source_table, warehouse, columns, encoding, limits)
    return result


@step(SYNC.policy)
def transfer(
    source: str,
    table: str,
    key: list[str],
    cursor: str | None = None,
    kind: Kind = "auto",
    source_table: str | None = None,
    warehouse: str = "default",
    columns: dict[str, ColumnFormat] | None = None,
    encoding: str | None = None,
    limits: Limits | None = None,
) -> SyncResult:
    """Read the source and upsert it in one transaction."""
    block = saved(Warehouse, warehouse)
    with block.connect() as connection:
        known = None
        if cursor:
            asked = [
                source,
                key,
                cursor,
                kind,
                source_table,
                encoding,
                {n: f.model_dump() for n, f in (columns or {}).items()},
            ]
            known = KnownSource(connection, Target(connection, table), cursor, {"asked": asked})
        label, warnings = without_secrets(source) if "://" in source else source, tuple[str, ...]()
        try:
            with opened(
                source,
                kind=kind,
                source_table=source_table,
                encoding=encoding,
                limits=limits,
                conditions=known.validators if known else None,
            ) as rows:
                label = rows.label
                fingerprint = rows.fingerprint() if known else None
                if known and fingerprint and fingerprint == known.fingerprint:
                    raise Unchanged  # noqa: TRY301  (as a server would say)
                warnings = rows.warnings
                done = merge(connection, rows, table=table, key=key, cursor=cursor, formats=columns)
                if known:
                    known.keep(fingerprint, rows.validators)
        except Unchanged:
            assert known  # noqa: S101  (tells mypy: nothing else is asked on condition)
            assert known.newest  # noqa: S101
            done = Merged(known.newest.rows, 0, 0, (), known.newest.value)
    if TaskRunContext.get():
        for warning in (*warnings, *done.warnings):
            get_run_logger().warning("%s", warning)
    return SyncResult(
        table=table,
        source=label,
        read=done.read,
        inserted=done.inserted,
        updated=done.updated,
        unchanged=done.unchanged,
        columns_added=done.columns_added,
        cursor=done.cursor,
        warnings=(*warnings, *done.warnings),
    )
