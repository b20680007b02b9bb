"""How lists show ids: short, and never so short that two of them look the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from redrive.blocks.core.counted import counted
from redrive.infra.cli.output import print_json, short_ids
from redrive.infra.cli.progress import progress

FIRST = UUID("019ab3c4-1234-7abc-8def-0123456789ab")


@pytest.mark.parametrize(
    ("second", "shown"),
    [
        ("11111111-1234-7abc-8def-0123456789ab", ["019ab3c4", "11111111"]),
        ("019ab3c4-1235-7abc-8def-0123456789ab", ["019ab3c4-1234", "019ab3c4-1235"]),
        ("019ab3c4-1234-7abd-8def-0123456789ab", ["019ab3c4-1234-7abc", "019ab3c4-1234-7abd"]),
        ("019ab3c4-1234-7abc-8def-0123456789ac", [str(FIRST), "019ab3c4-1234-7abc-8def-0123456789ac"]),
    ],
)
def test_ids_are_cut_to_where_they_differ(second: str, shown: list[str]) -> None:
    assert short_ids([FIRST, UUID(second)]) == shown


def test_one_job_twice_and_none_at_all() -> None:
    assert short_ids([FIRST, FIRST]) == ["019ab3c4", "019ab3c4"]
    assert short_ids([]) == []


@pytest.mark.parametrize(("count", "said"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (1200, "1,200 jobs")])
def test_a_number_and_its_noun_agree(count: int, said: str) -> None:
    assert counted(count, "job") == said


def test_times_in_json_are_utc_of_one_width(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(
        [
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1))),
            datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        ]
    )

    assert json.loads(capsys.readouterr().out) == ["2026-01-02T02:04:05.000000Z", "2026-01-02T03:04:05.000006Z"]


def test_bar_of_a_bulk_act_says_nothing_where_nobody_watches_it(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("redriving", 2) as moved:
        assert moved(1, 2)

    assert capsys.readouterr().err == ""
