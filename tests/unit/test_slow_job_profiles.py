"""Profiles that slow jobs keep by themselves have a budget."""

from __future__ import annotations

import os
from pathlib import Path

from redrive.infra.profiles.report import BY_ITSELF, artifact, file_of, forget_oldest
from redrive.infra.worker.slow_jobs import HOUR, Budget


def test_no_more_than_so_many_in_any_hour() -> None:
    now = 0.0
    budget = Budget(2, lambda: now)
    taken = []
    for minute in range(180):
        now = minute * 60.0
        if budget.has_room():
            budget.take()
            taken.append(now)

    assert taken[:2] == [0.0, 60.0]
    assert len(taken) == 6
    assert all(later - earlier > HOUR for earlier, later in zip(taken, taken[2:], strict=False))


def test_none_where_nobody_wants_any() -> None:
    assert not Budget(0).has_room()


def test_only_the_newest_of_those_that_nobody_asked_for_stay(tmp_path: Path) -> None:
    asked = file_of("asked", tmp_path, "profile")
    asked.touch()
    files = [file_of(number, tmp_path, BY_ITSELF) for number in range(4)]
    for at, file in enumerate(files):
        file.touch()
        os.utime(file, (at, at))

    forget_oldest(tmp_path, most=2)

    assert sorted(tmp_path.iterdir()) == sorted([asked, *files[2:]])


def test_what_a_function_is_called_is_no_markdown(tmp_path: Path) -> None:
    made = artifact("0123456789", "profile", "said", [("90%", "900", "```\n# guilty (jobs.py:7)")], tmp_path / "file")

    assert made["key"] == "profile-01234567"
    assert "\n# guilty" in made["data"]
    assert made["data"].startswith("````")
