"""An index over the open dead letters by queue and job type: the oldest of each is one step into it.

Danger: as in every migration, what stands here is what the tables were then.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_dead_letters_open_kind",
        "dead_letters",
        ["queue", "job", "last_failure", "id"],
        postgresql_where=sa.text("status = 'open'"),
        sqlite_where=sa.text("status = 'open'"),
    )


def downgrade() -> None:
    op.drop_index("ix_dead_letters_open_kind", "dead_letters")
