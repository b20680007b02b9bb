"""Sync: a CSV, SQLite or HTTP source is brought into a table of the warehouse, row by row of its key.

Danger: a sync adds and changes rows and never deletes any; what vanished from the source stays in the table.
"""

from redrive.blocks.payloads import SyncResult
from redrive.blocks.saved import saved
from redrive.blocks.warehouse import Warehouse
from redrive.deployments.catalog import job_type
from redrive.flows.job import job, step
from redrive.flows.sync_source.source import Kind, opened
from redrive.flows.sync_table.merge import merge

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
) -> SyncResult:
    """Bring the rows of a source into a table: new ones are inserted, changed ones updated, equal ones left alone.

    The table is made at the first run and grows with the source's columns. Everything happens in one transaction.

    Args:
        source: CSV, JSON or SQLite file (a relative path counts from REDRIVE_HOME), or an http(s) address of CSV or JSON.
        table: Table to write to, `name` or `schema.name`.
        key: Columns that identify a row.
        cursor: Column that only grows, like a time of change; rows below the table's highest value are left out. None
            compares every row, which also finds corrections of old ones.
        kind: What the source is; auto looks at its content.
        source_table: Table to read, if the source is an SQLite file.
        warehouse: Name of the Warehouse block.
    """
    result: SyncResult = transfer(source, table, key, cursor, kind, source_table, warehouse)
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
) -> SyncResult:
    """Read the source and upsert it in one transaction."""
    block = saved(Warehouse, warehouse)
    with opened(source, kind=kind, source_table=source_table) as rows, block.connect() as connection:
        done = merge(connection, rows, table=table, key=key, cursor=cursor)
        label = rows.label
    return SyncResult(
        table=table,
        source=label,
        read=done.read,
        inserted=done.inserted,
        updated=done.updated,
        unchanged=done.unchanged,
        columns_added=done.columns_added,
        cursor=done.cursor,
    )
