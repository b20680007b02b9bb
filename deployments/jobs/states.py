"""What people call a job's states, and what Prefect calls them.

A list prints the words of `WORDS`, and `--state` takes each of them; it also takes Prefect's own names, as JSON prints them.

Danger: the words are read from a run as it was then; between reading and acting it may have gone on.
"""

from __future__ import annotations

from datetime import datetime

from redrive.blocks.prefect.run import Run
from redrive.blocks.prefect.states import AWAITING_RETRY
from redrive.blocks.prefect.wanted import Wanted

#: Each word with Prefect's types of state behind it, in the order of a job's life.
WORDS: dict[str, tuple[str, ...]] = {
    "scheduled": ("SCHEDULED",),
    "waiting": ("SCHEDULED",),
    "retrying": ("SCHEDULED",),
    "starting": ("PENDING",),
    "running": ("RUNNING",),
    "suspended": ("PAUSED",),
    "cancelling": ("CANCELLING",),
    "completed": ("COMPLETED",),
    "cancelled": ("CANCELLED",),
    "crashed": ("CRASHED",),
    "dead": ("FAILED",),
    "replaced": ("FAILED",),
}
#: Words of jobs that have not ended, which can be cancelled; and of those that ended for good, which can be run again.
UNFINISHED = ("scheduled", "waiting", "retrying", "starting", "running", "suspended")
FINISHED = ("completed", "cancelled", "dead")


def word_of(run: Run, now: datetime) -> str:
    """The word for the run's state; a type nobody foresaw is its own word."""
    match run.state_type:
        case "SCHEDULED" if run.state_name == AWAITING_RETRY:
            return "retrying"
        case "SCHEDULED":
            return "scheduled" if (due := due_of(run)) is not None and due > now else "waiting"
        case "FAILED":
            return "replaced" if run.labels.replaced_by else "dead"
        case other:
            return next((word for word, types in WORDS.items() if other in types), other.lower())


def due_of(run: Run) -> datetime | None:
    """When it is due: its next start if it waits, else when it was to start first."""
    return run.scheduled if run.state_type == "SCHEDULED" and run.scheduled else run.expected_start


def narrowed(word: str, now: datetime) -> Wanted:
    """What Prefect is asked for a word; `word_of` then decides about each run."""
    match word:
        case "retrying":
            return Wanted(types=WORDS[word], names=[AWAITING_RETRY], deployed=False)
        case "scheduled":
            return Wanted(types=WORDS[word], not_names=[AWAITING_RETRY], due_after=now, deployed=False)
        case "waiting":
            return Wanted(types=WORDS[word], not_names=[AWAITING_RETRY], due_before=now, deployed=False)
        case _:
            return Wanted(types=WORDS[word], deployed=False)
