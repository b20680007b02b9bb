"""A thing that a service does again and again, each at its own pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

#: Seconds between two looks at the clock at least: a duty that takes longer than its pace must not make a busy loop.
SHORTEST_PAUSE = 0.05


@dataclass
class Duty:
    """One of them.

    Attributes:
        name: for people.
        every: seconds from one time to the next.
        do: what is done; what it returns is for whoever attends to it.
        last: when it was done last, by a monotonic clock.
    """

    name: str
    every: float
    do: Callable[[], Iterable[object] | None]
    last: float = field(default=float("-inf"))


def attend_in_turn(duties: Sequence[Duty], attend: Callable[[Duty], None], stop: threading.Event) -> None:
    """Attend to each duty when its time has come, one after the other, until `stop` is set.

    Args:
        duties: at least one.
        attend: does it, and notes in `last` when that was. It raises nothing.
        stop: ends it, before the next duty.
    """
    while not stop.is_set():
        for duty in duties:
            if time.monotonic() - duty.last >= duty.every and not stop.is_set():
                attend(duty)
        due = min(duty.last + duty.every for duty in duties)
        stop.wait(max(SHORTEST_PAUSE, due - time.monotonic()))
