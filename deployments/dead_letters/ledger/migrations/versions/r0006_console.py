"""What the operator's console keeps: people and their sessions, what they did, bulk acts, notes, views; and counts by time.

Danger: as in every migration, what stands here is what the tables were then.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("added", _TIME, nullable=False),
    )
    op.create_table(
        "people_sessions",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        # The role of somebody who came by a link; None: the one that the table of people gives now.
        sa.Column("role", sa.String(16)),
        sa.Column("began", _TIME, nullable=False),
        sa.Column("expires", _TIME, nullable=False),
    )
    op.create_index("ix_people_sessions_expires", "people_sessions", ["expires"])
    op.create_table(
        "people_links",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("expires", _TIME, nullable=False),
    )
    op.create_table(
        "operator_acts",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
    )
    op.create_index("ix_operator_acts_about", "operator_acts", ["about", "id"])
    op.create_table(
        "bulk_acts",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("filter", sa.JSON, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("rate", sa.Double),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("failed", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("asked", _TIME, nullable=False),
        sa.Column("ended", _TIME),
        sa.Column("stop_asked_by", sa.Text),
        sa.Column("runner", sa.Text),
        sa.Column("alive", _TIME),
    )
    op.create_index("ix_bulk_acts_asked", "bulk_acts", ["asked"])
    op.create_table(
        "cause_notes",
        sa.Column("fingerprint", sa.String(12), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
    )
    op.create_table(
        "saved_views",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("page", sa.String(16), nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
    )
    op.create_table(
        "job_count_history",
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("at", _TIME, primary_key=True),
        sa.Column("queue", sa.Text, primary_key=True),
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("counts", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    for table in (
        "job_count_history",
        "saved_views",
        "cause_notes",
        "bulk_acts",
        "operator_acts",
        "people_links",
        "people_sessions",
        "people",
    ):
        op.drop_table(table)
