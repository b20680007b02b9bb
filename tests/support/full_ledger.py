"""A ledger with very many rows, made in seconds: the first thousand are recorded, the others are copies of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text

from redrive.deployments.dead_letters.ledger import Ledger
from tests.support.deaths import START, varied

RECORDED = 1_000

_COLUMNS = (
    "reason, job, queue, deployment_id, flow_id, flow_name, run_name, worker, parameters, tags, error_type, traceback, step, "
    "fingerprint, tries, crashes, deaths, redrives, buried_at"
)
# Each copy is a thousand seconds later, with a number of its own in the message. Two of five stay open, as after months.
_COPY = f"""
    INSERT INTO dead_letters (id, run_id, dead_state_id, status, closed_at, message, first_failure, last_failure, {_COLUMNS})
    SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), fate.status,
           CASE WHEN fate.status = 'open' THEN NULL ELSE last_failure + copy * interval '1000 s' END,
           replace(message, 'thing ', 'thing ' || copy), first_failure + copy * interval '1000 s', last_failure + copy * interval '1000 s',
           {_COLUMNS}
    FROM dead_letters, generate_series(1, :copies) AS copy,
         LATERAL (SELECT CASE WHEN hashtext(run_id::text || copy) % 5 IN (0, 1, -1) THEN 'open' ELSE 'resolved' END AS status) AS fate
    ORDER BY last_failure + copy * interval '1000 s'
"""  # noqa: S608  (column names of ours)


_SHIFT = "UPDATE dead_letters SET first_failure = first_failure + :by, last_failure = last_failure + :by"


def fill(ledger: Ledger, *, rows: int, causes: int = 64, analyze: bool = True, until: datetime | None = None) -> None:
    """Fill an empty ledger on Postgres with a multiple of 1,000 rows; its sums are right and its statistics fresh, unless not analyzed.

    Args:
        until: when the newest failed, one a second before it; the first days of 2026 if None.
    """
    ledger.migrate()
    ledger.record_all(varied(RECORDED, causes=causes))
    engine = ledger._database.engine
    with engine.begin() as connection:
        if until is not None:
            connection.execute(text(_SHIFT), {"by": until - START - timedelta(seconds=rows)})
        connection.execute(text(_COPY), {"copies": rows // RECORDED - 1})
        connection.execute(
            text("UPDATE dead_letters SET status = 'resolved', closed_at = now() WHERE hashtext(run_id::text) % 5 > 1")
        )
    ledger.recount()
    if not analyze:
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
