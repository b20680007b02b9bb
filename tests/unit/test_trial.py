"""The fault suite's judge can say no: each way to break the promise is found in the journal that such a job would leave."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from tests.chaos.trial import Line, Trial
from tests.support.fault_jobs import STAGES

RUN = UUID(int=1)
KEY = "trial-1"

GOOD = [
    "begin",
    *(said for name in STAGES for said in (f"start:{name}", f"effect:{name}", f"kept:{name}")),
    "end",
]


def judge(folder: Path, said: list[str], *, effects: tuple[str, ...] = STAGES) -> None:
    """Let the suite judge one `fault-steps` job that left this journal and these effects."""
    for name in effects:
        (folder / f"effect.{KEY}.{name}").touch()
    trial = Trial.__new__(Trial)
    trial.folder, trial.jobs, trial._keys = folder, {RUN: "fault-steps"}, {RUN: KEY}
    trial._check_effects([Line(what, RUN, KEY, 1) for what in said])


def test_job_that_did_all_once_is_good(tmp_path: Path) -> None:
    judge(tmp_path, GOOD)


def test_job_that_was_killed_between_effect_and_journal_and_ran_again_is_good(tmp_path: Path) -> None:
    judge(tmp_path, ["begin", "start:reserve", "begin", "start:reserve", "again:reserve", *GOOD[3:]])


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ([*GOOD, "effect:charge"], "happened twice"),
        ([*GOOD, "begin", "overlap", "end"], "at once"),
        ([*GOOD, "begin", "start:reserve", "again:reserve"], "completed step reserve ran again"),
        ([*GOOD, "effect:gift"], "nobody asked for"),
    ],
)
def test_broken_promise_is_found(tmp_path: Path, said: list[str], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        judge(tmp_path, said)


def test_effect_that_never_happened_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="never happened"):
        judge(tmp_path, GOOD, effects=STAGES[:-1])
