"""How long a server may stay silent: briefly where a person waits, longer in a service, never for ever.

Danger: a limit too short makes a busy server look dead; it counts from the last answer, not for all of a command.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Seconds for a person, who gets an answer within 10 s, the start of the command included.
PERSON = 8.0
#: Seconds for a service: longer than anything a healthy server takes, a lock held for a minute included.
SERVICE = 120.0
#: A server that was silent a moment ago gets this many seconds, lest each point of a command waits anew...
AGAIN = 1.0
#: ...for this many seconds.
REMEMBERED = 30.0

_given: ContextVar[float | None] = ContextVar("redrive_patience", default=None)
_process = SERVICE
_silent_at: dict[str, float] = {}


def hurry() -> None:
    """A person waits for this process, whatever it asks."""
    global _process  # noqa: PLW0603  (one command line a process)
    _process = PERSON


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
    if for_person() and time.monotonic() - _silent_at.get(server, -REMEMBERED) < REMEMBERED:
        return min(AGAIN, patience())
    return patience()


def silent(server: str) -> None:
    """Note that it did not answer in time."""
    _silent_at[server] = time.monotonic()


def answered(server: str) -> None:
    """Note that it answered."""
    _silent_at.pop(server, None)
