"""How many dead letters failed last in each quarter of an hour of the last day, by cause, error, queue and status.

Danger: as in every migration, what stands here is what the tables were then.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_KEY = ("at", "fingerprint", "error_type", "queue", "status")


def upgrade() -> None:
    made = op.create_table(
        "dead_letter_quarters",
        sa.Column("at", _TIME, primary_key=True),
        sa.Column("fingerprint", sa.String(12), primary_key=True),
        sa.Column("error_type", sa.Text, primary_key=True),
        sa.Column("queue", sa.Text, primary_key=True),
        sa.Column("status", sa.String(16), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.create_index("ix_dead_letter_quarters_cause", "dead_letter_quarters", ["fingerprint", "at"])
    connection = op.get_bind()
    # SQLite has times without a zone, which are UTC.
    bare = connection.dialect.name == "sqlite"
    since = datetime.now(UTC) - timedelta(hours=26)
    rows = sa.table("dead_letters", sa.column("last_failure", _TIME), *(sa.column(name, sa.Text) for name in _KEY[1:]))
    found = Counter(
        (_quarter(row.last_failure), *row[1:])
        for row in connection.execute(
            sa.select(*rows.c).where(rows.c.last_failure >= (since.replace(tzinfo=None) if bare else since))
        )
    )
    if found:
        op.bulk_insert(made, [{**dict(zip(_KEY, key, strict=True)), "count": count} for key, count in found.items()])


def downgrade() -> None:
    op.drop_table("dead_letter_quarters")


def _quarter(at: datetime) -> datetime:
    utc = at.astimezone(UTC) if at.tzinfo else at
    return utc.replace(minute=utc.minute // 15 * 15, second=0, microsecond=0)
