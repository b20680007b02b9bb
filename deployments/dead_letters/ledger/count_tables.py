"""The tables of the counts, as SQLAlchemy sees them; the migrations make them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    String,
    Table,
    Text,
    Uuid,
)

from redrive.deployments.dead_letters.ledger.tables import UtcDateTime, metadata

#: Counters and buckets of histograms, for metrics; written by `counts.py` alone.
job_counts = Table(
    "job_counts",
    metadata,
    Column("metric", String(24), primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("job", Text, primary_key=True),
    Column("label", String(40), primary_key=True),
    Column("value", Double, nullable=False),
)

#: The queues and job types that have counts of their own; those that came too late are counted as `other`.
count_names = Table(
    "job_count_names",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("name", Text, primary_key=True),
)

#: Ends that were counted lately: a sweep overlaps the one before.
counted_ends = Table(
    "job_count_ends",
    metadata,
    Column("run_id", Uuid, primary_key=True),
    Column("ended", UtcDateTime, primary_key=True),
    Index("ix_job_count_ends_ended", "ended"),
)

#: What was counted of a job that is not done with: what comes later counts on from here.
count_progress = Table(
    "job_count_progress",
    metadata,
    Column("run_id", Uuid, primary_key=True),
    Column("since", Text, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("rescues", Integer, nullable=False),
    Column("spent", Integer, nullable=False),
    Column("ran", Double, nullable=False),
    Column("started", Boolean, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("updated", UtcDateTime, nullable=False),
    Index("ix_job_count_progress_updated", "updated"),
)

#: What was counted, by time: `step` seconds from `at` on; `counts` by "metric|label". Written by `history.py` alone.
count_history = Table(
    "job_count_history",
    metadata,
    Column("step", Integer, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("job", Text, primary_key=True),
    Column("counts", JSON, nullable=False),
)
