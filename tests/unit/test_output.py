"""How lists show ids: short, and never so short that two of them look the same."""

from __future__ import annotations

from uuid import UUID

import pytest

from redrive.deployments.commands.output import short_ids

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
