"""Writing down what somebody does, whatever comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redrive.blocks.core.errors import LedgerUnavailable, RedriveError
from redrive.dashboards.console.parts import Parts


@contextmanager
def written_down(the: Parts, *, who: str, what: str, about: str, why: str = "") -> Iterator[None]:
    """Write down an act that is done in this block: that it was done, or why it was refused. What is shared is read anew after it."""
    outcome = "done"
    try:
        yield
    except RedriveError as error:
        outcome = f"refused: {error}"
        raise
    finally:
        the.forget()
        write_down(the, who=who, what=what, about=about, why=why, outcome=outcome)


def write_down(the: Parts, *, who: str, what: str, about: str, why: str, outcome: str) -> None:
    """Write one act down. What was done carries who did it itself: a ledger that is unavailable must keep nobody from acting."""
    try:
        the.people.record(who=who, what=what, about=about, why=why, outcome=outcome)
    except LedgerUnavailable:
        return
