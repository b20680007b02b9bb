"""The ledger's tables as SQLAlchemy sees them; the migrations make them.

Danger: `dead_letter_tallies` and `dead_letter_groups` are sums over `dead_letters`. Whatever changes a row's status, cause,
job type or queue must go through `Tallies` in the same transaction.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    text,
)

#: A row of any columns; which ones a query asked for is known where it stands.
AnyRow: TypeAlias = Row[Any]

STATUSES: Final = ("open", "redriven", "resolved", "discarded")

#: Columns that people filter by, besides status. Each has an index with and one without status before the time.
DIMENSIONS: Final = ("job", "queue", "fingerprint", "error_type", "reason")

#: Characters of a message that a search looks at; an index on more would cost more than it finds.
SEARCHED_CHARACTERS: Final = 1000


class UtcDateTime(TypeDecorator[datetime]):
    """A time with zone, always UTC in Python; SQLite, which has no zones, gets UTC without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the ledger takes times with a zone, not {value!r}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("run_id", Uuid, nullable=False, unique=True),
    Column("dead_state_id", Uuid, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("job", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("deployment_id", Uuid),
    Column("flow_id", Uuid),
    Column("flow_name", Text, nullable=False),
    Column("run_name", Text, nullable=False),
    Column("worker", Text),
    # JSON, not JSONB: keys keep their order, and a \u0000 in somebody's text can be stored.
    Column("parameters", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("error_type", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("traceback", Text),
    Column("step", Text),
    Column("fingerprint", String(12), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("deaths", Integer, nullable=False),
    Column("redrives", Integer, nullable=False),
    Column("first_failure", UtcDateTime, nullable=False),
    Column("last_failure", UtcDateTime, nullable=False),
    Column("buried_at", UtcDateTime, nullable=False),
    Column("redriven_at", UtcDateTime),
    Column("redriven_by", Text),
    Column("redriven_why", Text),
    Column("closed_at", UtcDateTime),
    Column("closed_by", Text),
    Column("closed_why", Text),
    Column("batch_id", Uuid),
    Column("replaces_run_id", Uuid),
    Column("replaced_by_run_id", Uuid),
    Column("effect_key", Text),
    Column("trace_id", String(32)),
)

Index("ix_dead_letters_time", dead_letters.c.last_failure, dead_letters.c.id)
Index("ix_dead_letters_status_time", dead_letters.c.status, dead_letters.c.last_failure, dead_letters.c.id)
for _name in DIMENSIONS:
    _column = dead_letters.c[_name]
    Index(f"ix_dead_letters_{_name}_time", _column, dead_letters.c.last_failure, dead_letters.c.id)
    Index(
        f"ix_dead_letters_{_name}_status_time",
        _column,
        dead_letters.c.status,
        dead_letters.c.last_failure,
        dead_letters.c.id,
    )
_OPEN = dead_letters.c.status == text("'open'")
Index(
    "ix_dead_letters_open_kind",
    dead_letters.c.queue,
    dead_letters.c.job,
    dead_letters.c.last_failure,
    dead_letters.c.id,
    postgresql_where=_OPEN,
    sqlite_where=_OPEN,
)
_CLOSED = dead_letters.c.closed_at.is_not(None)
Index("ix_dead_letters_closed", dead_letters.c.closed_at, postgresql_where=_CLOSED, sqlite_where=_CLOSED)
_REPLACED = dead_letters.c.replaced_by_run_id.is_not(None)
Index(
    "ix_dead_letters_replaced_by", dead_letters.c.replaced_by_run_id, postgresql_where=_REPLACED, sqlite_where=_REPLACED
)

_BATCH = dead_letters.c.batch_id.is_not(None)
Index(
    "ix_dead_letters_batch_time",
    dead_letters.c.batch_id,
    dead_letters.c.last_failure,
    dead_letters.c.id,
    postgresql_where=_BATCH,
    sqlite_where=_BATCH,
)

acts = Table(
    "dead_letter_acts",
    metadata,
    # A counter of our own, because two acts of one dead letter may carry the same time.
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("dead_letter_id", Uuid),
    Column("batch_id", Uuid),
    Column("what", String(16), nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False, server_default=""),
    Column("at", UtcDateTime, nullable=False),
    Column("count", Integer, nullable=False, server_default="1"),
    Column("state_id", Uuid),
    Index("ix_dead_letter_acts_letter", "dead_letter_id", "id"),
    Index("ix_dead_letter_acts_batch", "batch_id", "id"),
)
_BULK = acts.c.dead_letter_id.is_(None)
Index("ix_dead_letter_acts_bulk", acts.c.id, postgresql_where=_BULK, sqlite_where=_BULK)

#: Every dead state ever collected; outlives the row, so that a sweep does not record again what a prune removed.
collected_states = Table(
    "dead_letter_states",
    metadata,
    Column("state_id", Uuid, primary_key=True),
    Column("collected_at", UtcDateTime, nullable=False),
    Column("pruned", UtcDateTime),
    Index("ix_dead_letter_states_pruned", "pruned"),
)

tallies = Table(
    "dead_letter_tallies",
    metadata,
    Column("fingerprint", String(12), primary_key=True),
    Column("error_type", Text, primary_key=True),
    Column("reason", String(40), primary_key=True),
    Column("job", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("status", String(16), primary_key=True),
    Column("count", Integer, nullable=False),
    Index("ix_dead_letter_tallies_job", "job", "status"),
    Index("ix_dead_letter_tallies_queue", "queue", "status"),
)

groups = Table(
    "dead_letter_groups",
    metadata,
    Column("fingerprint", String(12), primary_key=True),
    *(Column(status, Integer, nullable=False) for status in STATUSES),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("sample_id", Uuid, nullable=False),
    Column("error_type", Text, nullable=False),
    Column("message", Text, nullable=False),
)
Index("ix_dead_letter_groups_open", groups.c.open.desc(), groups.c.last_seen.desc(), groups.c.fingerprint)

cursors = Table(
    "ledger_cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated", UtcDateTime, nullable=False),
)

#: When each keeper last did each of its duties, by the database's clock; written by `duties.py` alone.
keeper_duties = Table(
    "keeper_duties",
    metadata,
    Column("keeper", Text, primary_key=True),
    Column("duty", Text, primary_key=True),
    # Seconds between two rounds of it, as that keeper means to do it.
    Column("every", Double, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("last_success", UtcDateTime),
    Column("last_failure", UtcDateTime),
    Column("error", Text),
    Column("seconds", Double),
)
