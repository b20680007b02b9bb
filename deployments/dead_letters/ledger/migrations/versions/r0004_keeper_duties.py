"""When each keeper last did each of its duties.

Danger: as in every migration, what stands here is what the tables were then.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "keeper_duties",
        sa.Column("keeper", sa.Text, primary_key=True),
        sa.Column("duty", sa.Text, primary_key=True),
        sa.Column("every", sa.Double, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("last_success", _TIME),
        sa.Column("last_failure", _TIME),
        sa.Column("error", sa.Text),
        sa.Column("seconds", sa.Double),
    )


def downgrade() -> None:
    op.drop_table("keeper_duties")
