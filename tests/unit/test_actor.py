"""Who acts is written down, whatever comes of the act; a record that is away keeps nobody from acting."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from redrive.blocks.core.errors import Conflict, LedgerUnavailable
from redrive.deployments.people.actor import Actor


@dataclass
class Written:
    """A record in memory; `away`: it cannot be reached."""

    away: bool = False
    acts: list[tuple[str, ...]] = field(default_factory=list)

    def record(self, *, who: str, what: str, about: str, why: str, outcome: str) -> None:
        if self.away:
            raise LedgerUnavailable("the database is down")
        self.acts.append((who, what, about, why, outcome))


def test_what_came_of_an_act_is_written_down_with_the_better_name():
    record = Written()

    with Actor(record=record, who="ada", why="noon").doing("pause", "schedule 1b2c") as act:
        act.about = "schedule 1b2c of reports"

    assert record.acts == [("ada", "pause", "schedule 1b2c of reports", "noon", "done")]


def test_refusal_is_written_down_and_still_raised():
    record = Written()

    with pytest.raises(Conflict), Actor(record=record, who="ada").doing("cancel", "job 7"):
        raise Conflict("it is over")

    assert record.acts == [("ada", "cancel", "job 7", "", "refused: it is over")]


def test_act_is_done_where_the_record_is_away_and_that_is_told():
    told: list[str] = []
    done = []

    with Actor(record=Written(away=True), who="ada", unwritten=lambda away: told.append(str(away))).doing("a", "b"):
        done.append(1)

    assert done
    assert told == ["the database is down"]
