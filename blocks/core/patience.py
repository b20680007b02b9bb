"""How long a server may stay silent: briefly where a person waits, longer in a service, never for ever.

The start of a command counts too: its imports take seconds on a busy machine, and a person waits from the moment of pressing
return. So the first answer of a server is due at one time for the whole command; once it has answered, each later answer has the
full time.

Danger: a limit too short makes a busy server look dead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import ClassVar

#: Seconds for a person.
PERSON = 8.0
#: Seconds after its start in which a command has an answer, or says that there is none.
COMMAND = 9.5
#: What is left of them is never less, however long the start took: a healthy server on a busy machine takes seconds.
LEAST = 3.0
#: Seconds for a service: longer than anything a healthy server takes, a lock held for a minute included.
SERVICE = 120.0
#: A server that was silent a moment ago gets this many seconds, lest each point of a command waits anew...
AGAIN = 0.5
#: ...for this many seconds.
REMEMBERED = 30.0

_given: ContextVar[float | None] = ContextVar("redrive_patience", default=None)


class _Process:
    """How long this process waits, and what it knows of servers.

    Attributes:
        patience: seconds.
        due: when the first answer of each server is due, by the monotonic clock; None where nobody gave a command.
        unanswered_at: when a server did not answer in time, by the same clock.
        answering: servers that answered.
    """

    patience = SERVICE
    due: float | None = None
    unanswered_at: ClassVar[dict[str, float]] = {}
    answering: ClassVar[set[str]] = set()


def hurry(age: float | None = None) -> None:
    """A person waits for this process, whatever it asks.

    Args:
        age: seconds since the process started; as the kernel counts them if None.
    """
    _Process.patience = PERSON
    _Process.due = time.monotonic() - (_age() if age is None else age) + COMMAND


def for_person() -> bool:
    """Whether a person waits."""
    return patience() <= PERSON


def patience() -> float:
    """Seconds a server may stay silent, here and now."""
    given = _given.get()
    return _Process.patience if given is None else given


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Let servers stay silent for so long in this block."""
    token = _given.set(seconds)
    try:
        yield
    finally:
        _given.reset(token)


def left_for(server: str) -> float:
    """Seconds this server may stay silent now."""
    if not for_person():
        return patience()
    now = time.monotonic()
    if now - _Process.unanswered_at.get(server, -REMEMBERED) < REMEMBERED:
        return min(AGAIN, patience())
    if _Process.due is not None and server not in _Process.answering:
        return min(max(LEAST, _Process.due - now), patience())
    return patience()


def unanswered(server: str) -> None:
    """Note that it did not answer in time.

    What it did not answer in the little time that it gets then is not noted anew: a busy server, asked again and again, would
    never have its full time again.
    """
    now = time.monotonic()
    if now - _Process.unanswered_at.get(server, -REMEMBERED) >= REMEMBERED:
        _Process.unanswered_at[server] = now


def answered(server: str) -> None:
    """Note that it answered."""
    _Process.unanswered_at.pop(server, None)
    _Process.answering.add(server)


def _age() -> float:
    """Seconds since this process started. Source: proc(5), `/proc/self/stat`, field 22: clock ticks after the boot."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, AttributeError):
        # Not Linux: the imports of the command itself, which come before this, are not counted.
        return 0.0
