"""The requests that a thread sends to Prefect's API: who has a budget of them counts each, repeated ones too, or lets it wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Calls:
    """What was sent while the block was in progress, and the seconds until the answers came."""

    sent: int = 0
    seconds: float = 0.0


_counting = threading.local()
_pacing = threading.local()


@contextmanager
def counted_calls() -> Iterator[Calls]:
    """Count the requests that this thread sends in this block; in a block within it as well."""
    mine = Calls()
    before: list[Calls] = getattr(_counting, "all", [])
    _counting.all = [*before, mine]
    try:
        yield mine
    finally:
        _counting.all = before


@contextmanager
def paced(turn: Callable[[], None]) -> Iterator[None]:
    """Let each request of this thread in this block wait for its `turn`, which returns when it has come."""
    _pacing.turn = turn
    try:
        yield
    finally:
        _pacing.turn = None


@contextmanager
def sending() -> Iterator[None]:
    """A request leaves in this block, and its answer comes, or does not."""
    if (turn := getattr(_pacing, "turn", None)) is not None:
        turn()
    mine: list[Calls] = getattr(_counting, "all", [])
    for each in mine:
        each.sent += 1
    began = time.monotonic()
    try:
        yield
    finally:
        for each in mine:
            each.seconds += time.monotonic() - began
