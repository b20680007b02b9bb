"""The tables of what operators ask and write: bulk acts, and notes about causes; the migrations make them."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, Integer, String, Table, Text, Uuid

from redrive.deployments.dead_letters.ledger.tables import UtcDateTime, metadata

notes = Table(
    "cause_notes",
    metadata,
    Column("fingerprint", String(12), primary_key=True),
    Column("text", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

bulk_acts = Table(
    "bulk_acts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("what", String(16), nullable=False),
    Column("filter", JSON, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("rate", Double),
    Column("wanted", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("failed", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("said", Text, nullable=False),
    Column("asked", UtcDateTime, nullable=False, index=True),
    Column("ended", UtcDateTime),
    Column("stop_asked_by", Text),
    Column("runner", Text),
    Column("alive", UtcDateTime),
)
