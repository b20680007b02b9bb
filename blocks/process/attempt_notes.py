"""What the process of a job and the worker that watches it tell each other of the attempt: which it is, and tries that were spent.

An attempt is named by the id of the Pending state that began it. A warm worker knows it from its claim; elsewhere a job finds it
in its run's history.

Danger: one job a process at a time. Steps of one job may run side by side, each with tries of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict


class Announcement(TypedDict):
    """So many tries of a step have failed and another one follows in this process; 0 when the step is done."""

    step: str
    spent: int
    #: Whether the step has a policy of its own, so that its tries are counted apart.
    own: bool


class _Now:
    """What this process runs, and who hears of it."""

    attempt: str | None = None
    listener: Callable[[Announcement], None] | None = None


def begin(attempt: str | None, listener: Callable[[Announcement], None] | None = None) -> None:
    """Set which attempt this process runs from now on, and who hears of spent tries."""
    _Now.attempt, _Now.listener = attempt, listener


def attempt() -> str | None:
    """The attempt that this process runs; None if nobody told."""
    return _Now.attempt


def announce_spent(step: str, spent: int, *, own: bool) -> None:
    """Tell the worker, so that they count should this process be killed."""
    if _Now.listener is not None:
        _Now.listener({"step": step, "spent": spent, "own": own})
