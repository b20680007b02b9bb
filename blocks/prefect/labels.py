"""The labels of a flow run as typed values: the home of tries, crashes and first start, and of who has the run.

Danger: labels can be written by anybody. One that cannot be read counts as absent; none ever raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from redrive.blocks.core.trace_context import TraceContext
from redrive.blocks.prefect.wait import WAIT, Wait

TRIES: Final = "redrive.tries"
#: Of steps with a policy of their own, by name, and of all others together, as JSON; absent where there is no such step.
OWN_TRIES: Final = "redrive.own_tries"
CRASHES: Final = "redrive.crashes"
FIRST_START: Final = "redrive.first_start"
#: Tries that were followed by another one, of all steps, since tries were counted afresh.
RETRIES: Final = "redrive.retries"
#: Crashes that were followed by another start, since then.
RESCUES: Final = "redrive.rescues"
#: The Crashed state that `CRASHES` counted last: a rescue that was cut off must not count it again.
CRASH_COUNTED: Final = "redrive.crash_counted"
#: First failed try since tries were counted afresh.
FIRST_FAILURE: Final = "redrive.first_failure"
#: The final failures after which tries were counted afresh: ids of their states, the last one at the end.
DEATH_COUNTED: Final = "redrive.death_counted"
#: Why the job became a dead letter: `tries`, `permanent`, `deadline` or `crash`; the type of its error, or what ended its process;
#: and what the error said. They belong to the DeadLetter state that is set right after them.
REASON: Final = "redrive.reason"
ERROR: Final = "redrive.error"
ERROR_MESSAGE: Final = "redrive.error_message"
#: When tries were last counted afresh.
REDRIVEN_AT: Final = "redrive.redriven_at"
#: Drawn anew for each request to enqueue, so that the answer tells a new job from the one that was there.
ASKED: Final = "redrive.asked"
#: The idempotency key, as given.
KEY: Final = "redrive.key"
#: The dead job that this one replaces with edited parameters.
REPLACES: Final = "redrive.replaces"
#: Who asked for that.
REDRIVEN_BY: Final = "redrive.redriven_by"
#: And on the dead job: which one replaces it; empty if it was deleted.
REPLACED_BY: Final = "redrive.replaced_by"
#: On a job that a person had run again after it completed or was cancelled: the newest such job; and on that one: which it was.
RERUN_AS: Final = "redrive.rerun_as"
RERUN_OF: Final = "redrive.rerun_of"
#: Who asked for that, and why.
RERUN_BY: Final = "redrive.rerun_by"
RERUN_REASON: Final = "redrive.rerun_reason"
#: Who cancelled it, and why.
CANCELLED_BY: Final = "redrive.cancelled_by"
CANCEL_REASON: Final = "redrive.cancel_reason"
#: The attempt that holds the run: id of the Pending state that began it. Empty: nobody holds it.
ATTEMPT: Final = "redrive.attempt"
#: Set by Prefect's workers, and by ours: the worker that took the run, its type, and its pool.
WORKER: Final = "prefect.worker.name"
#: What a run carries that nobody has.
NOBODY: Final = {WORKER: "", ATTEMPT: ""}
WORKER_TYPE: Final = "prefect.worker.type"
POOL_NAME: Final = "prefect.work-pool.name"
POOL_ID: Final = "prefect.work-pool.id"
#: Tries spent when a worker killed a job's process because a step outlived its timeout (`blocks/process/step_deadline.py`).
HARD_TIMEOUT: Final = "redrive.hard_timeout"
#: And which step that was, with its policy, as JSON; empty if it follows the job's.
TIMED_OUT_STEP: Final = "redrive.timed_out_step"

#: Of traces: the span in which the job was asked for; that of its last try; set by workers that trace (`blocks/tracing/`).
TRACE_CREATED: Final = "redrive.trace_created"
TRACE: Final = "redrive.trace"
#: `child` if its first try belongs to the trace in which it was asked for.
TRACE_FIRST: Final = "redrive.trace_first"
TRACED: Final = "redrive.traced"

#: The greatest count that the ledger's columns hold; whoever wrote a greater one did not count.
GREATEST_COUNT: Final = 2**31 - 1
#: Characters of a label that is used as a text.
TEXT_LIMIT: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What the labels of one run say."""

    tries: int = 0
    crashes: int = 0
    retries: int = 0
    rescues: int = 0
    hard_timeout: int = 0
    #: As they stand there; `spent_tries.py` and `run_labels.py` read them.
    own_tries: str = ""
    timed_out_step: str = ""
    first_start: datetime | None = None
    first_failure: datetime | None = None
    redriven_at: str = ""
    reason: str | None = None
    error: str | None = None
    error_message: str | None = None
    crash_counted: str = ""
    deaths_counted: tuple[str, ...] = ()
    key: str | None = None
    attempt: str | None = None
    worker: str | None = None
    replaces: UUID | None = None
    replaced_by: UUID | None = None
    rerun_of: UUID | None = None
    rerun_as: UUID | None = None
    cancelled_by: str | None = None
    cancel_reason: str | None = None
    wait: Wait | None = None
    #: The span in which it was asked for, and that of its last try, if they were traced.
    created: TraceContext | None = None
    traced: TraceContext | None = None
    #: Whether its last worker's name was taken off it because it was to wait, and no other has signed since.
    is_unsigned: bool = False

    @classmethod
    def of(cls, raw: object) -> Labels:
        labels: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
        return cls(
            tries=count(labels.get(TRIES)),
            crashes=count(labels.get(CRASHES)),
            retries=count(labels.get(RETRIES)),
            rescues=count(labels.get(RESCUES)),
            hard_timeout=count(labels.get(HARD_TIMEOUT)),
            own_tries=_text(labels.get(OWN_TRIES), limit=None) or "",
            timed_out_step=_text(labels.get(TIMED_OUT_STEP), limit=None) or "",
            first_start=moment(labels.get(FIRST_START)),
            first_failure=moment(labels.get(FIRST_FAILURE)),
            redriven_at=_text(labels.get(REDRIVEN_AT)) or "",
            reason=_text(labels.get(REASON)),
            error=_text(labels.get(ERROR)),
            error_message=_text(labels.get(ERROR_MESSAGE)),
            crash_counted=_text(labels.get(CRASH_COUNTED)) or "",
            deaths_counted=tuple(str(labels.get(DEATH_COUNTED) or "").split()),
            key=_text(labels.get(KEY), limit=None),
            attempt=_text(labels.get(ATTEMPT)),
            worker=_text(labels.get(WORKER)),
            replaces=_id(labels.get(REPLACES)),
            replaced_by=_id(labels.get(REPLACED_BY)),
            rerun_of=_id(labels.get(RERUN_OF)),
            rerun_as=_id(labels.get(RERUN_AS)),
            cancelled_by=_text(labels.get(CANCELLED_BY)),
            cancel_reason=_text(labels.get(CANCEL_REASON)),
            wait=Wait.of(labels.get(WAIT)),
            created=TraceContext.read(labels.get(TRACE_CREATED)),
            traced=_last_try(labels),
            is_unsigned=labels.get(WORKER) == "",
        )


def _last_try(labels: Mapping[str, Any]) -> TraceContext | None:
    """Of the attempt that has the run, if its worker traces; else what the last try wrote when it ended."""
    of_attempt = TraceContext.of_attempt(_text(labels.get(ATTEMPT))) if labels.get(TRACED) else None
    return of_attempt.within(first_parent(labels)) if of_attempt else TraceContext.read(labels.get(TRACE))


def first_parent(labels: Mapping[str, Any]) -> TraceContext | None:
    """The span that a first try is a child of; None for every other try, and where it is none's."""
    is_first = labels.get(TRACE_FIRST) == "child" and not labels.get(TRACE)
    return TraceContext.read(labels.get(TRACE_CREATED)) if is_first else None


def count(value: Any) -> int:
    """The count in a label, 0 if there is none or it cannot be read."""
    try:
        return min(max(0, int(value or 0)), GREATEST_COUNT)
    except (TypeError, ValueError, OverflowError):
        return 0


def moment(value: Any) -> datetime | None:
    """The time in a label, UTC if it names no zone; None if there is none or it cannot be read."""
    try:
        found = datetime.fromisoformat(str(value)) if value else None
        return None if found is None else (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _id(value: Any) -> UUID | None:
    try:
        return UUID(str(value)) if value else None
    except ValueError:
        return None


def _text(value: Any, *, limit: int | None = TEXT_LIMIT) -> str | None:
    if value is None or value == "":
        return None
    return str(value).replace("\x00", "\N{REPLACEMENT CHARACTER}")[:limit]
