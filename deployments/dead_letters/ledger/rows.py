"""What goes into the ledger and what comes out of it: frozen values.

Danger: rows hold secrets as the job got them; show `row.masked()` to people.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Literal, Self, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from redrive.blocks.core.fingerprint import fingerprint
from redrive.blocks.core.masking import mask, mask_text

Status = Literal["open", "redriven", "resolved", "discarded"]
What = Literal["dead-lettered", "reopened", "redriven", "unclaimed", "linked", "discarded", "resolved"]

Row = TypeVar("Row", bound=BaseModel)


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Death(_Value):
    """One final failure of one run, as read from Prefect: what `record` takes."""

    run_id: UUID
    dead_state_id: UUID = Field(
        description="Id of the Prefect state that was final: the same death twice has the same."
    )
    last_failure: AwareDatetime = Field(description="When that state was set.")
    job: str
    queue: str
    error_type: str
    message: str
    reason: str = Field("tries", description="tries, permanent, deadline, crash, unstartable, cancelled.")
    traceback: str | None = None
    step: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    tries: int = 0
    crashes: int = 0
    retries: int = Field(0, description="Tries that were followed by another one, since `since`.")
    rescues: int = Field(0, description="Crashes that were followed by another start, since `since`.")
    since: str = Field("", description="When tries were last counted afresh, as the run's label says.")
    ran: float = Field(0.0, description="Seconds of all attempts together.")
    waited: float | None = Field(None, description="Seconds from due to the first start; None: it never started.")
    first_failure: AwareDatetime | None = Field(None, description="None: the same as `last_failure`.")
    deployment_id: UUID | None = None
    flow_id: UUID | None = None
    flow_name: str = ""
    run_name: str = ""
    worker: str | None = None
    replaces_run_id: UUID | None = Field(None, description="None: looked up among the redriven rows.")
    effect_key: str | None = Field(None, description="What the job's effects carry so that they happen once.")
    trace_id: str | None = Field(None, description="The trace of its last try, 32 hex digits, if it was traced.")

    def fingerprint(self) -> str:
        return fingerprint(
            job=self.job, error_type=self.error_type, message=self.message, traceback=self.traceback, step=self.step
        )


class Outcome(StrEnum):
    """What recording a death did."""

    NEW = "new"
    REOPENED = "reopened"
    KNOWN = "known"


class Recorded(_Value):
    """A death's place in the ledger. `id` is None when the row of a known death was pruned."""

    outcome: Outcome
    run_id: UUID
    dead_state_id: UUID
    id: UUID | None
    fingerprint: str


class DeadLetter(_Value):
    """One dead job."""

    id: UUID
    run_id: UUID
    dead_state_id: UUID
    status: Status
    reason: str
    job: str
    queue: str
    deployment_id: UUID | None
    flow_id: UUID | None
    flow_name: str
    run_name: str
    worker: str | None
    parameters: dict[str, Any]
    tags: tuple[str, ...]
    error_type: str
    message: str
    traceback: str | None
    step: str | None
    fingerprint: str
    tries: int
    crashes: int
    deaths: int = Field(description="How often this run died, the first time included.")
    redrives: int
    first_failure: datetime
    last_failure: datetime
    buried_at: datetime
    redriven_at: datetime | None
    redriven_by: str | None
    redriven_why: str | None
    closed_at: datetime | None
    closed_by: str | None
    closed_why: str | None
    batch_id: UUID | None
    replaces_run_id: UUID | None
    replaced_by_run_id: UUID | None
    effect_key: str | None = Field(None, description="None: a row from before keys were kept.")
    trace_id: str | None = Field(None, description="The trace of its last try, if it was traced.")

    @property
    def outcome_run_id(self) -> UUID:
        """The run whose end decides over this row: its replacement, or itself."""
        return self.replaced_by_run_id or self.run_id

    def masked(self) -> Self:
        """The row as people may read it."""
        return self.model_copy(
            update={
                "parameters": mask(self.parameters),
                "message": mask_text(self.message),
                "traceback": None if self.traceback is None else mask_text(self.traceback),
                "redriven_why": None if self.redriven_why is None else mask_text(self.redriven_why),
                "closed_why": None if self.closed_why is None else mask_text(self.closed_why),
            }
        )


class HistoryEntry(_Value):
    """One thing that was done to a dead letter, or, without `dead_letter_id`, the sum of a bulk act."""

    id: int
    dead_letter_id: UUID | None
    batch_id: UUID | None
    what: str
    who: str
    why: str
    at: datetime
    count: int
    state_id: UUID | None

    @field_validator("what")
    @classmethod
    def _by_its_present_name(cls, what: str) -> str:
        """Ledgers of before hold the first one as `buried`."""
        return "dead-lettered" if what == "buried" else what

    def masked(self) -> Self:
        return self.model_copy(update={"why": mask_text(self.why)})


class Group(_Value):
    """The dead letters of one cause."""

    fingerprint: str
    error_type: str
    message: str = Field(description="The newest one's message.")
    sample_id: UUID
    count: int
    by_status: dict[str, int]
    jobs: tuple[str, ...]
    queues: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    partial: bool = Field(
        default=False, description="Counted among the newest rows only, because so many fit a filter by time or text."
    )

    @property
    def open(self) -> int:
        return self.by_status.get("open", 0)

    def masked(self) -> Self:
        return self.model_copy(update={"message": mask_text(self.message)})


class Total(_Value):
    """How many dead letters there are of one kind, for metrics."""

    status: Status
    queue: str
    job: str
    reason: str
    count: int


class RowsPage(_Value, Generic[Row]):
    """Some rows, and where the next ones begin; `next` is None on the last page."""

    rows: tuple[Row, ...]
    next: str | None
