"""The checker of operation histories finds each thing that can go wrong, and nothing in a history where all is well."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.checker import check

Event = dict[str, Any]

LAPSED = "rescued: worker w is silent for 6 s"


def history(**changed: Any) -> list[Event]:
    """One job of three steps that was killed once, rescued and completed."""
    accepted = {"op": "accepted", "job": "a", "type": "fault-steps", "key": "k", "max_tries": 3, "max_crashes": 1}
    begun = [line("begin"), line("start:reserve"), line("effect:reserve"), line("kept:reserve")]
    again = [line("begin"), line("effect:charge"), line("effect:confirm"), line("end")]
    killed = "rescued: worker w was killed, and so was the job's process"
    outcome = {"op": "outcome", "job": "a", "state": "Completed", "message": "", "crashes": [killed], "row": None}
    return [accepted | changed.pop("accepted", {}), *begun, *again, *changed.pop("more", []), outcome | changed]


def line(what: str, key: str = "k") -> Event:
    return {"op": "job", "job": "a", "key": key, "pid": 1, "what": what}


def act(what: str, *, taken: bool = True) -> Event:
    return {"op": "act", "job": "a", "what": what, "taken": taken}


def test_nothing_is_found_where_all_is_well() -> None:
    verdict = check(history(), paths=["worker gone"])

    assert verdict.problems == []
    assert (verdict.jobs, verdict.executions, verdict.crashes) == (1, 2, 1)


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"state": None}, "lost"),
        ({"state": "Running"}, "lost"),
        ({"state": "DeadLetter"}, "lost"),
        ({"state": "Cancelled"}, "lost"),
        ({"state": "Cancelled", "more": [act("cancel", taken=False)]}, "lost"),
        ({"row": "open"}, "wrong row"),
        ({"more": [line("effect:charge")]}, "doubled"),
        ({"more": [line("start:reserve")]}, "repeated"),
        ({"more": [line("overlap")]}, "overlapping"),
        ({"more": [line("begin", key="other")]}, "other key"),
        ({"more": [line("try")] * 5}, "limit"),
        ({"more": [line("try")] * 8, "crashes": [LAPSED]}, "limit"),
        ({"crashes": ["worker w: killed"] * 3}, "limit"),
        ({"accepted": {"key": "x"}}, "other key"),
        ({"accepted": {"type": "fault-held"}}, "missing"),
    ],
)
def test_it_is_found(changed: dict[str, Any], kind: str) -> None:
    problems = check(history(**changed)).problems

    assert [one for one in problems if one.startswith(kind)], problems


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "DeadLetter", "row": "open"},
        {"state": "Cancelled", "more": [act("cancel")]},
        {"row": "resolved"},
        {"more": [line("again:charge")]},
        {"more": [line("try")] * 4},
        {"more": [line("try")] * 6 + [act("redrive")]},
        # A host that was cut off tries on, and nobody hears of it.
        {"more": [line("try")] * 7, "crashes": [LAPSED]},
        {"crashes": ["worker w: killed"] * 4, "more": [act("retry")]},
    ],
)
def test_what_may_happen_is_no_finding(changed: dict[str, Any]) -> None:
    assert check(history(**changed)).problems == []


def test_job_without_outcome_is_lost() -> None:
    assert check(history()[:-1]).problems[0].startswith("lost")


def test_path_that_never_fired_is_found() -> None:
    assert check(history(), paths=["worker silent"]).problems == ["rescue path never fired: worker silent"]
