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
_process = SERVICE
#: When the first answer of each server is due, by the monotonic clock; None where nobody gave a command.
_due: float | None = None
_unanswered_at: dict[str, float] = {}
_answering: set[str] = set()


def hurry(age: float | None = None) -> None:
    """A person waits for this process, whatever it asks.

    Args:
        age: seconds since the process started; as the kernel counts them if None.
    """
    global _process, _due  # noqa: PLW0603  (one command line a process)
    _process = PERSON
    _due = time.monotonic() - (_age() if age is None else age) + COMMAND


def for_person() -> bool:
    """Whether a person waits."""
    return patience() <= PERSON


def patience() -> float:
    """Seconds a server may stay silent, here and now."""
    given = _given.get()
    return _process if given is None else given


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
    if now - _unanswered_at.get(server, -REMEMBERED) < REMEMBERED:
        return min(AGAIN, patience())
    if _due is not None and server not in _answering:
        return min(max(LEAST, _due - now), patience())
    return patience()


def unanswered(server: str) -> None:
    """Note that it did not answer in time.

    What it did not answer in the little time that it gets then is not noted anew: a busy server, asked again and again, would
    never have its full time again.
    """
    now = time.monotonic()
    if now - _unanswered_at.get(server, -REMEMBERED) >= REMEMBERED:
        _unanswered_at[server] = now


def answered(server: str) -> None:
    """Note that it answered."""
    _unanswered_at.pop(server, None)
    _answering.add(server)


def _age() -> float:
    """Seconds since this process started. Source: proc(5), `/proc/self/stat`, field 22: clock ticks after the boot."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, AttributeError):
        # Not Linux: the imports of the command itself, which come before this, are not counted.
        return 0.0
