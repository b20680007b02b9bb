"""A flow run as Redrive reads it: typed, only what is decided by.

Danger: parameters, tags, labels and messages were written by others; nothing here may raise for what they hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from redrive.blocks.prefect.labels import Labels


@dataclass(frozen=True, kw_only=True)
class Run:
    """One flow run. `job` is the name of its flow; `since` the time of its state; times are UTC.

    `transition` is the id that whoever set the state gave that act.
    """

    id: UUID
    name: str
    job: str
    flow_id: UUID
    deployment_id: UUID | None
    queue: str
    pool: str
    state_id: UUID
    state_type: str
    state_name: str
    message: str
    since: datetime
    transition: str | None
    scheduled: datetime | None
    expected_start: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    run_count: int
    ran: float
    #: The same with the attempt that runs now.
    ran_so_far: float = 0.0
    #: Made by a schedule, not asked for by anybody.
    auto_scheduled: bool = False
    parameters: dict[str, Any]
    tags: tuple[str, ...]
    labels: Labels
    idempotency_key: str | None
    pid: str | None
    retry_type: str | None

    @property
    def effect_key(self) -> str:
        """What effects carry so that they happen once: the same in every try, redrive and replacement of a job."""
        return self.labels.key or self.idempotency_key or str(self.id)

    @property
    def worker(self) -> str | None:
        """Who has it, or had it last."""
        return self.labels.worker

    @classmethod
    def of(cls, raw: Mapping[str, Any], *, job: str) -> Run:
        """From the API's JSON."""
        state = raw.get("state") or {}
        details = state.get("state_details") or {}
        return cls(
            id=UUID(raw["id"]),
            name=str(raw.get("name") or ""),
            job=job,
            flow_id=UUID(raw["flow_id"]),
            deployment_id=UUID(raw["deployment_id"]) if raw.get("deployment_id") else None,
            queue=raw.get("work_queue_name") or "default",
            pool=raw.get("work_pool_name") or "",
            state_id=UUID(state["id"]) if state.get("id") else UUID(int=0),
            state_type=str(state.get("type") or ""),
            state_name=str(state.get("name") or ""),
            message=str(state.get("message") or ""),
            since=_time(state.get("timestamp")) or _time(raw.get("created")) or datetime.now(UTC),
            transition=details.get("transition_id"),
            scheduled=_time(details.get("scheduled_time")),
            expected_start=_time(raw.get("expected_start_time")),
            start_time=_time(raw.get("start_time")),
            end_time=_time(raw.get("end_time")),
            run_count=raw.get("run_count") or 0,
            ran=float(raw.get("total_run_time") or 0),
            ran_so_far=float(raw.get("estimated_run_time") or 0),
            auto_scheduled=bool(raw.get("auto_scheduled")),
            parameters=raw.get("parameters") or {},
            tags=tuple(map(str, raw.get("tags") or ())),
            labels=Labels.of(raw.get("labels")),
            idempotency_key=raw.get("idempotency_key"),
            pid=raw.get("infrastructure_pid"),
            retry_type=(raw.get("empirical_policy") or {}).get("retry_type"),
        )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
