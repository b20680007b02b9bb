"""Somebody who acts: what they do is written down, whatever comes of it, in the console and on the command line alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from redrive.blocks.core.errors import LedgerUnavailable, RedriveError


class Record(Protocol):
    """Where acts are written down: `People`."""

    def record(self, *, who: str, what: str, about: str, why: str, outcome: str) -> None:
        """Write one down; raises `LedgerUnavailable`."""


@dataclass(kw_only=True)
class Doing:
    """What is being done: `about` may be named better while it is, `outcome` says what came of it."""

    about: str
    outcome: str = "done"


def _silent(_: LedgerUnavailable) -> None:
    """A job or a dead letter says itself who did what to it."""


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A person and their reason. `unwritten` hears of a record that is unavailable: that must keep nobody from acting."""

    record: Record
    who: str
    why: str = ""
    unwritten: Callable[[LedgerUnavailable], None] = _silent

    @contextmanager
    def doing(self, what: str, about: str) -> Iterator[Doing]:
        """Write down an act that is done in this block: what came of it, or why it was refused."""
        act = Doing(about=about)
        try:
            yield act
        except RedriveError as error:
            act.outcome = f"refused: {error}"
            raise
        finally:
            self.did(what, act.about, act.outcome)

    def did(self, what: str, about: str, outcome: str = "done") -> None:
        """Write one act down."""
        try:
            self.record.record(who=self.who, what=what, about=about, why=self.why, outcome=outcome)
        except LedgerUnavailable as away:
            self.unwritten(away)
