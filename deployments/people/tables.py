"""The tables about people, as SQLAlchemy sees them; the ledger's migrations make them."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from redrive.deployments.dead_letters.ledger.tables import UtcDateTime, metadata

people = Table(
    "people",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False),
    Column("added", UtcDateTime, nullable=False),
)

sessions = Table(
    "people_sessions",
    metadata,
    # Of the token only its hash: whoever reads this table cannot act as anybody.
    Column("token", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", String(16)),
    Column("began", UtcDateTime, nullable=False),
    Column("expires", UtcDateTime, nullable=False),
    Index("ix_people_sessions_expires", "expires"),
)

links = Table(
    "people_links",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("expires", UtcDateTime, nullable=False),
)

acts = Table(
    "operator_acts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", String(32), nullable=False),
    Column("about", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Index("ix_operator_acts_about", "about", "id"),
)

saved_views = Table(
    "saved_views",
    metadata,
    Column("name", Text, primary_key=True),
    Column("page", String(16), nullable=False),
    Column("query", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
