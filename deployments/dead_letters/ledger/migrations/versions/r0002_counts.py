"""Counts of finished jobs, for metrics: they begin when these tables are made.

Danger: as in every migration, what stands here is what the tables were then.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "job_counts",
        sa.Column("metric", sa.String(24), primary_key=True),
        sa.Column("queue", sa.Text, primary_key=True),
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("label", sa.String(40), primary_key=True),
        sa.Column("value", sa.Double, nullable=False),
    )
    op.create_table(
        "job_count_names",
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
    )
    op.create_table(
        "job_count_ends",
        sa.Column("run_id", sa.Uuid, primary_key=True),
        sa.Column("ended", _TIME, primary_key=True),
    )
    op.create_index("ix_job_count_ends_ended", "job_count_ends", ["ended"])
    op.create_table(
        "job_count_progress",
        sa.Column("run_id", sa.Uuid, primary_key=True),
        sa.Column("since", sa.Text, nullable=False),
        sa.Column("retries", sa.Integer, nullable=False),
        sa.Column("rescues", sa.Integer, nullable=False),
        sa.Column("spent", sa.Integer, nullable=False),
        sa.Column("ran", sa.Double, nullable=False),
        sa.Column("started", sa.Boolean, nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("updated", _TIME, nullable=False),
    )
    op.create_index("ix_job_count_progress_updated", "job_count_progress", ["updated"])
    now = datetime.now(UTC)
    cursors = sa.table(
        "ledger_cursors", sa.column("name", sa.Text), sa.column("value", sa.Text), sa.column("updated", _TIME)
    )
    # What ended before is history: counting it would make a rate of it.
    places = ("counted", "counting began")
    op.bulk_insert(cursors, [{"name": name, "value": now.isoformat(), "updated": now} for name in places])


def downgrade() -> None:
    op.execute("DELETE FROM ledger_cursors WHERE name IN ('counted', 'counting began')")
    for table in ("job_count_progress", "job_count_ends", "job_count_names", "job_counts"):
        op.drop_table(table)
