"""The effect key of each dead letter: what a replacement carries on, also when the run was deleted.

Danger: as in every migration, what stands here is what the tables were then.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Empty for rows made before: their key is read from the run, if there still is one.
    op.add_column("dead_letters", sa.Column("effect_key", sa.Text))


def downgrade() -> None:
    op.drop_column("dead_letters", "effect_key")
