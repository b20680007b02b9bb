"""What happens after a failed try: pure decisions of a policy and what was counted.

Danger: messages are read by people and matched by tests; DESIGN.md gives their form.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from redrive.blocks.core.errors import Snooze
from redrive.blocks.core.masking import mask_text
from redrive.blocks.core.retry import RetryPolicy

#: Characters of a permanent error that a state message carries.
SENTENCE = 500

Reason = Literal["tries", "permanent", "deadline", "crash"]


@dataclass(frozen=True, kw_only=True)
class RetryAt:
    """The job has another try at `at`, decided when it was `told`; `tries` were spent so far."""

    at: datetime
    told: datetime
    tries: int
    message: str


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """The job is a dead letter."""

    reason: Reason
    tries: int
    message: str


Decision = RetryAt | GiveUp


def after_failure(
    policy: RetryPolicy, *, error: BaseException, tries: int, first_start: datetime, now: datetime, draw: float
) -> Decision:
    """Decide after the `tries`-th failed try of a step.

    Args:
        tries: failed tries of the step, those of earlier attempts included; 1 or more.
        first_start: when the job first started, or first started after a redrive.
        draw: random number in [0, 1) for the jitter.
    """
    name = type(error).__name__
    if isinstance(error, Snooze):
        at = now + error.delay
        why = f": {error.why}" if error.why else ""
        return RetryAt(at=at, told=now, tries=tries, message=f"snoozed; next at {clock(at)}{why}")
    if policy.is_permanent(error):
        # What is permanent is for a person to fix, so the sentence itself belongs where that person looks first.
        detail = " ".join(mask_text(str(error)).split())[:SENTENCE]
        message = f"dead letter: permanent error, not tried again ({name})" + (f": {detail}" if detail else "")
        return GiveUp(reason="permanent", tries=tries, message=message)
    if tries >= policy.max_tries:
        return GiveUp(
            reason="tries", tries=tries, message=f"dead letter: {tries} of {policy.max_tries} tries failed ({name})"
        )
    at = now + timedelta(seconds=policy.delay(tries, draw))
    if policy.past_deadline(first_start=first_start, at=at):
        return GiveUp(
            reason="deadline",
            tries=tries,
            message=f"dead letter: deadline passed, {tries} of {policy.max_tries} tries failed in {policy.retry_until:g} s ({name})",
        )
    message = f"try {tries} of {policy.max_tries} failed; next at {clock(at)} ({name})"
    return RetryAt(at=at, told=now, tries=tries, message=message)


def after_crash(policy: RetryPolicy, *, crashes: int, cause: str, now: datetime) -> Decision:
    """Decide after the `crashes`-th death of the job's process; `cause` names worker and signal or silence."""
    if crashes > policy.max_crashes:
        return GiveUp(
            reason="crash",
            tries=crashes,
            message=f"dead letter: crashed {crashes} times, {policy.max_crashes} are allowed ({cause})",
        )
    message = f"crash {crashes} of {policy.max_crashes} allowed; starts again ({cause})"
    return RetryAt(at=now, told=now, tries=crashes, message=message)


def clock(at: datetime) -> str:
    """`12:00:05Z`."""
    return at.strftime("%H:%M:%SZ")
