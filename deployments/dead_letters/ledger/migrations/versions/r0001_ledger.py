"""The ledger's first tables.

Danger: a migration that was released is never edited; it says what the tables were then, so it does not use `tables.py`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_STATUSES = ("open", "redriven", "resolved", "discarded")
_DIMENSIONS = ("job", "queue", "fingerprint", "error_type", "reason")
_TABLES = (
    "dead_letters",
    "dead_letter_acts",
    "dead_letter_states",
    "dead_letter_tallies",
    "dead_letter_groups",
    "ledger_cursors",
)


def upgrade() -> None:
    _dead_letters()
    _acts_and_states()
    _sums()
    op.create_table(
        "ledger_cursors",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("updated", _TIME, nullable=False),
    )
    if op.get_context().dialect.name == "postgresql":
        _search()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("run_id", sa.Uuid, nullable=False, unique=True),
        sa.Column("dead_state_id", sa.Uuid, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("deployment_id", sa.Uuid),
        sa.Column("flow_id", sa.Uuid),
        sa.Column("flow_name", sa.Text, nullable=False),
        sa.Column("run_name", sa.Text, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("error_type", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("traceback", sa.Text),
        sa.Column("step", sa.Text),
        sa.Column("fingerprint", sa.String(12), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("deaths", sa.Integer, nullable=False),
        sa.Column("redrives", sa.Integer, nullable=False),
        sa.Column("first_failure", _TIME, nullable=False),
        sa.Column("last_failure", _TIME, nullable=False),
        sa.Column("buried_at", _TIME, nullable=False),
        sa.Column("redriven_at", _TIME),
        sa.Column("redriven_by", sa.Text),
        sa.Column("redriven_why", sa.Text),
        sa.Column("closed_at", _TIME),
        sa.Column("closed_by", sa.Text),
        sa.Column("closed_why", sa.Text),
        sa.Column("batch_id", sa.Uuid),
        sa.Column("replaces_run_id", sa.Uuid),
        sa.Column("replaced_by_run_id", sa.Uuid),
    )
    op.create_index("ix_dead_letters_time", "dead_letters", ["last_failure", "id"])
    op.create_index("ix_dead_letters_status_time", "dead_letters", ["status", "last_failure", "id"])
    for name in _DIMENSIONS:
        op.create_index(f"ix_dead_letters_{name}_time", "dead_letters", [name, "last_failure", "id"])
        op.create_index(f"ix_dead_letters_{name}_status_time", "dead_letters", [name, "status", "last_failure", "id"])
    for name, columns in (
        ("closed", ["closed_at"]),
        ("replaced_by", ["replaced_by_run_id"]),
        ("batch_time", ["batch_id", "last_failure", "id"]),
    ):
        given = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(f"ix_dead_letters_{name}", "dead_letters", columns, postgresql_where=given, sqlite_where=given)


def _acts_and_states() -> None:
    op.create_table(
        "dead_letter_acts",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("dead_letter_id", sa.Uuid),
        sa.Column("batch_id", sa.Uuid),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False, server_default=""),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("count", sa.Integer, nullable=False, server_default="1"),
        sa.Column("state_id", sa.Uuid),
    )
    op.create_index("ix_dead_letter_acts_letter", "dead_letter_acts", ["dead_letter_id", "id"])
    op.create_index("ix_dead_letter_acts_batch", "dead_letter_acts", ["batch_id", "id"])
    bulk = sa.text("dead_letter_id IS NULL")
    op.create_index("ix_dead_letter_acts_bulk", "dead_letter_acts", ["id"], postgresql_where=bulk, sqlite_where=bulk)
    op.create_table(
        "dead_letter_states",
        sa.Column("state_id", sa.Uuid, primary_key=True),
        sa.Column("collected_at", _TIME, nullable=False),
        sa.Column("pruned", _TIME),
    )
    op.create_index("ix_dead_letter_states_pruned", "dead_letter_states", ["pruned"])


def _sums() -> None:
    op.create_table(
        "dead_letter_tallies",
        sa.Column("fingerprint", sa.String(12), primary_key=True),
        sa.Column("error_type", sa.Text, primary_key=True),
        sa.Column("reason", sa.String(40), primary_key=True),
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("queue", sa.Text, primary_key=True),
        sa.Column("status", sa.String(16), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.create_index("ix_dead_letter_tallies_job", "dead_letter_tallies", ["job", "status"])
    op.create_index("ix_dead_letter_tallies_queue", "dead_letter_tallies", ["queue", "status"])
    op.create_table(
        "dead_letter_groups",
        sa.Column("fingerprint", sa.String(12), primary_key=True),
        *(sa.Column(status, sa.Integer, nullable=False) for status in _STATUSES),
        sa.Column("first_seen", _TIME, nullable=False),
        sa.Column("last_seen", _TIME, nullable=False),
        sa.Column("sample_id", sa.Uuid, nullable=False),
        sa.Column("error_type", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
    )
    order = [sa.text("open DESC"), sa.text("last_seen DESC"), sa.text("fingerprint")]
    op.create_index("ix_dead_letter_groups_open", "dead_letter_groups", order)


def _search() -> None:
    """An index for searching in messages, if the database offers trigrams; without it a search reads every row."""
    try:
        with op.get_bind().begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            op.execute(
                "CREATE INDEX ix_dead_letters_message ON dead_letters USING gin (left(message, 1000) gin_trgm_ops)"
            )
    except DBAPIError:
        # Not installed, or not allowed to us: everything but the speed of a search stays the same.
        return
