"""The trace of each dead letter's last try.

Danger: as in every migration, what stands here is what the tables were then.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Empty where the try was not traced, and for rows made before.
    op.add_column("dead_letters", sa.Column("trace_id", sa.String(32)))


def downgrade() -> None:
    op.drop_column("dead_letters", "trace_id")
